import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import type { TensorBuffer } from '../../kernels/kernels.ts';

/** Memory by the names that kernels give it. */
export type NamedMemory = Readonly<Record<string, TensorBuffer>>;

/**
 * A kernel of a task and the memory of its graph's inputs and outputs. Stages that name the same memory hand values on, so
 * stages in a row make up one graph: see `merge.ts`.
 */
export interface Stage {
  readonly graph: OnnxGraph;
  readonly memory: NamedMemory;
}

/** Memory that a stage reads. */
export function readBy({ graph, memory }: Stage): TensorBuffer[] {
  return graph.inputs.map(({ name }) => memory[name]!);
}

/** Memory that a stage writes. */
export function writtenBy({ graph, memory }: Stage): TensorBuffer[] {
  return graph.outputs.map(({ name }) => memory[name]!);
}
