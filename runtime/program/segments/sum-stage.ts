import type { Value } from '../../../soap/ops/emitter.ts';
import type { Boxed, Region } from '../../../soap/region/region.ts';
import { regionShape, sameRegion } from '../../../soap/region/region.ts';
import { ALONE, Emitter } from '../../../soap/ops/emitter.ts';
import type { TensorBuffer } from '../../kernels/kernels.ts';
import type { Stage } from './stage.ts';

/** The sum of at least two float32 tensors of one shape, added from the first to the last. */
export function sumStage(shape: readonly number[], terms: readonly TensorBuffer[], sum: TensorBuffer): Stage {
  const inputs = terms.map((_, index): Value => ({ name: `input${index}`, dtype: 'float32', shape }));
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const total = terms
    .map((_, index) => emit.input(index))
    .reduce((partial, term) => emit.node('Add', [partial, term], shape));
  emit.setOutput(0, total);
  const memory = Object.fromEntries(terms.map((term, index) => [`input${index}`, term]));
  return { graph: emit.build('sum'), memory: { ...memory, output0: sum } };
}

/**
 * Adds the box of a float32 tensor that `region` is to `sum`, in place; sets it to that where it is the first.
 * @param term its frame has all of the region
 */
export function termStage(region: Region, term: Boxed<TensorBuffer>, sum: TensorBuffer, isFirst: boolean): Stage {
  const shape = regionShape(region);
  const inputs = [regionShape(term.frame), shape].map((each, index): Value => ({
    name: `input${index}`,
    dtype: 'float32',
    shape: each,
  }));
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const box = boxOf(emit, term.frame, region);
  emit.setOutput(0, isFirst ? box : emit.node('Add', [emit.input(1), box], shape));
  const memory = { input0: term.memory, output0: sum };
  return { graph: emit.build('term'), memory: isFirst ? memory : { ...memory, input1: sum } };
}

function boxOf(emit: Emitter, frame: Region, region: Region): Value {
  const term = emit.input(0);
  if (sameRegion(frame, region)) return term;
  const starts = region.map(([start], axis) => start - frame[axis]![0]);
  const ends = region.map(([, end], axis) => end - frame[axis]![0]);
  const bounds = [starts, ends, [...region.keys()]].map((values) => emit.ints(values));
  return emit.node('Slice', [term, ...bounds], regionShape(region));
}
