import type { OnnxData, OnnxDType } from './model.ts';

/** TensorProto.DataType numbers. Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto */
const CODES: Readonly<Record<OnnxDType, number>> = { float32: 1, uint8: 2, int32: 6, int64: 7, bool: 9, float64: 11 };

const NAMES = new Map<number, OnnxDType>([
  [1, 'float32'],
  [2, 'uint8'],
  [6, 'int32'],
  [7, 'int64'],
  [9, 'bool'],
  [11, 'float64'],
]);

/** Bytes of an element. */
export const ELEMENT_BYTES: Readonly<Record<OnnxDType, number>> = {
  float32: 4,
  uint8: 1,
  int32: 4,
  int64: 8,
  bool: 1,
  float64: 8,
};

/** Values that are all zero (false), as many as asked for. */
export function zerosOf(dtype: OnnxDType, elements: number): OnnxData {
  return viewOf(dtype, new ArrayBuffer(elements * ELEMENT_BYTES[dtype]));
}

export function dtypeCode(dtype: OnnxDType): number {
  return CODES[dtype];
}

/** The element type of a TensorProto.DataType number, or undefined where the project has none. */
export function dtypeName(code: number): OnnxDType | undefined {
  return NAMES.get(code);
}

/** Elements of the type over little-endian bytes, which are copied. */
export function elementsOf(dtype: OnnxDType, bytes: Uint8Array): OnnxData {
  // Not bytes.slice(): on a Node Buffer that is a view of the pool.
  return viewOf(dtype, new Uint8Array(bytes).buffer);
}

function viewOf(dtype: OnnxDType, buffer: ArrayBuffer): OnnxData {
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer);
    case 'float64':
      return new Float64Array(buffer);
    case 'int64':
      return new BigInt64Array(buffer);
    case 'int32':
      return new Int32Array(buffer);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer);
  }
}
