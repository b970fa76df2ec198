import type { Value } from '../../../soap/ops/emitter.ts';
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
