import { ELEMENT_BYTES } from '../../soap/onnx/element-types.ts';
import type { OnnxDType } from '../../soap/onnx/model.ts';
import type { KernelEngine, TensorBuffer, TensorMemory } from './kernels.ts';

/** Buffers of engines that compute on the host: the memory that JavaScript sees is the buffer, so nothing is ever copied. */
export const HOST_BUFFERS: Pick<KernelEngine, 'allocate' | 'view' | 'cut' | 'adopt' | 'upload' | 'download'> = {
  allocate: (dtype, elements): TensorBuffer => ({ dtype, length: elements, host: allocateShared(dtype, elements) }),
  view: ({ host }, dtype, elements) => ({ dtype, length: elements, host: viewOf(host, dtype, elements) }),
  cut: ({ dtype, host }, start, end) => ({ dtype, length: end - start, host: host.subarray(start, end) }),
  adopt: (host, dtype) => ({ dtype, length: host.length, host }),
  upload: () => Promise.resolve(),
  download: () => Promise.resolve(),
};

/**
 * Zeroed elements in an explicit buffer that never moves and that other threads can see, as native kernels need it.
 */
export function allocateShared(dtype: OnnxDType, elements: number): TensorMemory {
  const bytes = new Uint8Array(new SharedArrayBuffer(ELEMENT_BYTES[dtype] * elements));
  return viewOf(bytes, dtype, elements);
}

/** @throws {RangeError} where the memory has fewer bytes */
function viewOf({ buffer, byteOffset, byteLength }: TensorMemory, dtype: OnnxDType, elements: number): TensorMemory {
  const bytes = ELEMENT_BYTES[dtype] * elements;
  if (bytes > byteLength) throw new RangeError(`internal: a view of ${bytes} bytes of a buffer of ${byteLength}`);
  switch (dtype) {
    case 'float32':
      return new Float32Array(buffer, byteOffset, elements);
    case 'float64':
      return new Float64Array(buffer, byteOffset, elements);
    case 'int64':
      return new BigInt64Array(buffer, byteOffset, elements);
    case 'int32':
      return new Int32Array(buffer, byteOffset, elements);
    case 'uint8':
    case 'bool':
      return new Uint8Array(buffer, byteOffset, elements);
  }
}
