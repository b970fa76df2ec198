import type { OnnxData, OnnxDType } from '../../../soap/onnx/model.ts';

/**
 * A value during interpretation, row-major. Every element is held as a float64, which is exact for all types but integers
 * beyond 2^53; those are rounded. After each node the elements are again of their type.
 */
export interface Tensor {
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  readonly data: Float64Array;
}

const [INT64_MIN, INT64_MAX] = [-(2n ** 63n), 2n ** 63n - 1n];

/** A tensor whose elements are brought to the type: float32 is rounded, int32 and uint8 wrap, bool is 0 or 1. */
export function tensor(dtype: OnnxDType, shape: readonly number[], data: Float64Array): Tensor {
  const convert = conversion(dtype);
  if (convert !== undefined) for (let i = 0; i < data.length; i += 1) data[i] = convert(data[i]!);
  return { dtype, shape, data };
}

function conversion(dtype: OnnxDType): ((x: number) => number) | undefined {
  switch (dtype) {
    case 'float32':
      return Math.fround;
    case 'float64':
      return undefined;
    case 'int64':
      return Math.trunc;
    case 'int32':
      return (x) => x | 0;
    case 'uint8':
      return (x) => x & 0xff;
    case 'bool':
      return (x) => (x === 0 ? 0 : 1);
  }
}

/** A copy of the memory as a tensor. */
export function readMemory(dtype: OnnxDType, shape: readonly number[], memory: OnnxData): Tensor {
  const data = memory instanceof BigInt64Array ? Float64Array.from(memory, Number) : Float64Array.from(memory);
  return { dtype, shape, data };
}

/** Copies the elements into memory of the same type and length. */
export function writeMemory({ data }: Tensor, memory: OnnxData): void {
  if (memory instanceof BigInt64Array) data.forEach((x, i) => (memory[i] = clampInt64(x)));
  else memory.set(data);
}

function clampInt64(x: number): bigint {
  if (!Number.isFinite(x)) return INT64_MIN;
  const big = BigInt(x);
  return big > INT64_MAX ? INT64_MAX : big < INT64_MIN ? INT64_MIN : big;
}
