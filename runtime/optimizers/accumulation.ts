import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { Value } from '../../soap/ops/emitter.ts';
import { ALONE, Emitter } from '../../soap/ops/emitter.ts';

/** Copies a gradient: `gradient` [elements] -> `output0` [elements]. */
export function copyKernel(elements: number): OnnxGraph {
  const emit = emitter(elements, ['gradient']);
  emit.setOutput(0, emit.input(0));
  return emit.build('copy');
}

/** Adds two gradients, safe to run in place: `sum`, `gradient` [elements] -> `output0` [elements]. */
export function addKernel(elements: number): OnnxGraph {
  const emit = emitter(elements, ['sum', 'gradient']);
  emit.setOutput(0, emit.node('Add', [emit.input(0), emit.input(1)], [elements]));
  return emit.build('accumulate');
}

function emitter(elements: number, names: readonly string[]): Emitter {
  const inputs = names.map((name): Value => ({ name, dtype: 'float32', shape: [elements] }));
  return new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
}
