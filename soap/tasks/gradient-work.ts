import type { CostSource } from '../cost/cost-source.ts';
import type { TaskWork } from '../cost/task-work.ts';
import type { Device } from '../cluster/cluster.ts';
import type { TrainingGraph } from '../training/loss.ts';
import { someDoNotCount } from '../training/loss.ts';
import { BYTES_PER_ELEMENT } from './work.ts';

/** Which micro-batch of a step an iteration is of: one that only adds up its gradients, or the last, which the update follows. */
export type MicroBatch = 'earlier' | 'last';

/** What a job does with gradients beside summing them over devices. */
export interface GradientHandling {
  /** Micro-batches of a step. */
  readonly accumulationSteps: number;
  /** Whether updates multiply gradients with a factor that depends on all of them, and so come after all. */
  readonly isScaled: boolean;
  /** Whether that limits the norm of all gradients together, so that their squares are summed. */
  readonly isClipped: boolean;
}

/** @param options of `buildTaskGraph` */
export function gradientHandling(
  training: TrainingGraph,
  { clipsGradients = false }: { readonly clipsGradients?: boolean },
): GradientHandling {
  const { accumulationSteps } = training;
  return { accumulationSteps, isScaled: clipsGradients || someDoNotCount(training), isClipped: clipsGradients };
}

/**
 * What the optimizer does to a shard of so many bytes: reads weight, gradient and state, writes weight and state.
 * @param isScaled whether the gradient is multiplied with a factor first, which takes no memory
 */
export function updateWork(bytes: number, isScaled: boolean = false): TaskWork {
  const elements = bytes / BYTES_PER_ELEMENT;
  return {
    signature: `${isScaled ? 'scaled ' : ''}update(${elements})`,
    direction: 'update',
    flops: (isScaled ? 7 : 6) * elements,
    memoryBytes: 5 * elements * BYTES_PER_ELEMENT,
  };
}

/** What adds a shard's gradient to another: that of one micro-batch to those of the ones before. Reads two, writes one. */
export function accumulateWork(bytes: number): TaskWork {
  const elements = bytes / BYTES_PER_ELEMENT;
  return {
    signature: `accumulate(${elements})`,
    direction: 'update',
    flops: elements,
    memoryBytes: 3 * elements * BYTES_PER_ELEMENT,
  };
}

/** What sums the squares of a shard's gradient: reads it. */
export function squaresWork(bytes: number): TaskWork {
  const elements = bytes / BYTES_PER_ELEMENT;
  return { signature: `squares(${elements})`, direction: 'update', flops: 2 * elements, memoryBytes: bytes };
}

/**
 * What becomes of a shard's gradient on one of its devices at the end of a micro-batch, beside the sum over the devices.
 * @param countsSquares whether it is the device that sums the shard's squares, where any does: the first of those that hold it
 */
export function shardWork(
  bytes: number,
  { accumulationSteps, isScaled, isClipped }: GradientHandling,
  microBatch: MicroBatch,
  countsSquares: boolean,
): TaskWork[] {
  if (microBatch === 'earlier') return [accumulateWork(bytes)];
  return [
    ...(accumulationSteps === 1 ? [] : [accumulateWork(bytes)]),
    ...(isClipped && countsSquares ? [squaresWork(bytes)] : []),
    updateWork(bytes, isScaled),
  ];
}

/** Microseconds of work that is done one after the other. */
export function workUs(works: readonly TaskWork[], costs: CostSource, device: Device): number {
  return works.reduce((sum, work) => sum + costs.durationUs(work, device), 0);
}
