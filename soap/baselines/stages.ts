import type { Graph, Op } from '../graph/graph.ts';
import { isTrained } from '../graph/graph.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { producersOf } from '../tasks/layout.ts';
import { opNeeds } from '../tasks/liveness/op-needs.ts';
import { partMemoryBytes, shardMemoryBytes } from '../tasks/memory.ts';
import { regionBytes } from '../tasks/work.ts';
import { wholeRegion } from '../region/region.ts';

/** A run of ops between two places where one activation is all that goes on. */
export interface Segment {
  /** The first op after it. */
  readonly end: number;
  /** What the parameters need that it is the first to read, and all activations of a batch. */
  readonly parameterBytes: number;
  readonly activationBytes: number;
}

/** Cuts a graph, in the order of its ops, wherever no more than one activation crosses the cut. */
export function segmentsOf(graph: Graph, optimizer: OptimizerName): Segment[] {
  const lastReader = graph.tensors.map(() => -1);
  for (const op of graph.ops) for (const tensor of op.inputs) lastReader[tensor] = op.id;
  const bytesOf = (ids: readonly number[]): number =>
    ids.reduce((sum, id) => sum + regionBytes(wholeRegion(graph.tensors[id]!.shape)), 0);
  const isParameter = (tensor: number): boolean => graph.tensors[tensor]!.role === 'parameter';
  const producers = producersOf(graph);
  const { savedShare } = opNeeds(graph);
  const known = new Set<number>();
  const crossing = new Set<number>();
  const segments: Segment[] = [];
  let [parameterBytes, activationBytes] = [0, 0];
  const count = (op: Op): void => {
    const added = op.inputs.filter((tensor) => isParameter(tensor) && !known.has(tensor));
    for (const tensor of added) known.add(tensor);
    for (const tensor of added)
      parameterBytes += shardMemoryBytes(bytesOf([tensor]), isTrained(graph.tensors[tensor]!), optimizer);
    activationBytes += partMemoryBytes(
      bytesOf(op.outputs),
      savedShare[op.id]!,
      bytesOf(op.inputs.filter((tensor) => !isParameter(tensor))),
    );
  };
  for (const op of graph.ops) {
    count(op);
    for (const tensor of op.inputs) {
      if (producers[tensor] !== undefined && lastReader[tensor] === op.id) crossing.delete(tensor);
    }
    for (const tensor of op.outputs) if (lastReader[tensor]! > op.id) crossing.add(tensor);
    if (crossing.size > 1 && op.id + 1 < graph.ops.length) continue;
    segments.push({ end: op.id + 1, parameterBytes, activationBytes });
    [parameterBytes, activationBytes] = [0, 0];
  }
  return segments;
}

/**
 * The stage of each op: consecutive segments that need about equally much memory.
 * @param replicas how many times a stage has its parameters, with a share of the batch each
 */
export function stagesOf(segments: readonly Segment[], stages: number, replicas: number): number[] {
  const needs = segments.map(({ parameterBytes, activationBytes }) => parameterBytes + activationBytes / replicas);
  const total = needs.reduce((a, b) => a + b, 0);
  const stageOf: number[] = [];
  let before = 0;
  for (const [segment, need] of needs.entries()) {
    const stage = Math.min(stages - 1, Math.floor(((before + need / 2) / total) * stages));
    before += need;
    while (stageOf.length < segments[segment]!.end) stageOf.push(stage);
  }
  return stageOf;
}
