import type { Graph } from '../graph/graph.ts';
import type { TrainingGraph } from './loss.ts';

/** Samples that go through a graph at a time: those of a micro-batch where it is trained. */
export function microBatchSizeOf({ inputs, tensors }: Graph): number {
  return tensors[inputs[0]!]!.shape[0]!;
}

/** Samples in one step, over all its micro-batches. */
export function batchSizeOf({ graph, accumulationSteps }: TrainingGraph): number {
  return microBatchSizeOf(graph) * accumulationSteps;
}
