import type { OnnxTensor } from '../../soap/onnx/model.ts';
import type { TensorMemory } from '../../runtime/kernels/kernels.ts';

/** Of each element, relative to the largest of the tensor; float32 sums differ by their order. */
const TOLERANCE = 2e-6;

/** The first element that differs, or undefined. Integers and booleans must be equal. */
export function mismatch(
  expected: readonly Pick<OnnxTensor, 'data'>[],
  actual: readonly TensorMemory[],
  tolerance: number = TOLERANCE,
): string | undefined {
  for (const [output, { data }] of expected.entries()) {
    const got = actual[output]!;
    if (got.length !== data.length) return `output ${output} has ${got.length} elements; expected ${data.length}`;
    const real = data instanceof Float32Array || data instanceof Float64Array;
    const scale = real
      ? Math.max(1e-30, ...Array.from({ length: data.length }, (_, i) => Math.abs(Number(data[i]))))
      : 0;
    for (let i = 0; i < data.length; i += 1) {
      const [want, have] = [Number(data[i]), Number(got[i])];
      // Written so that NaN differs.
      if (!(Math.abs(want - have) <= tolerance * scale)) return `output ${output}[${i}] is ${have}; expected ${want}`;
    }
  }
  return undefined;
}
