import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { Value } from '../../soap/ops/emitter.ts';
import { ALONE, Emitter, int } from '../../soap/ops/emitter.ts';

/** Elements per sum: few enough that float32 adds them without harm. */
const RUN = 1024;

/** How many sums {@link squareSums} gives. */
export function squareSumCount(elements: number): number {
  return Math.ceil(elements / RUN);
}

/**
 * Sums of the squares of runs of a gradient, which leave little to add up in float64 and to bring from a device: `gradient`
 * [elements] -> `output0` [{@link squareSumCount}].
 */
export function squareSums(elements: number): OnnxGraph {
  const gradient: Value = { name: 'gradient', dtype: 'float32', shape: [elements] };
  const emit = new Emitter({ inputs: [gradient], outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const [runs, length] = [squareSumCount(elements), Math.min(RUN, elements)];
  const missing = runs * length - elements;
  let all = emit.input(0);
  if (missing > 0) all = emit.node('Pad', [all, emit.ints([0, missing]), emit.scalar(0)], [runs * length]);
  const rows = emit.reshape(all, [runs, 1, length]);
  // A product of each row with itself, which needs no memory for the squares.
  const sums = emit.node('FusedMatMul', [rows, rows], [runs, 1, 1], { transB: int(1) }, { domain: 'com.microsoft' });
  emit.setOutput(0, emit.reshape(sums, [runs]));
  return emit.build('squares');
}
