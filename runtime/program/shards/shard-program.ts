import type { CollectiveTask } from '../../../soap/tasks/task-graph.ts';
import type { SharedShard } from '../../collectives/shared-gradients.ts';
import type { KernelEngine, TensorBuffer } from '../../kernels/kernels.ts';
import { floats } from '../assembly.ts';
import type { TermRun } from '../gradient-memory.ts';
import type { Accumulation } from './accumulation.ts';
import type { ShardSquares } from './squares.ts';

/** A shard's gradient on this device, on its way to the update. */
export interface ShardProgram {
  readonly gradient: TensorBuffer;
  /** Undefined where a step has one micro-batch. */
  readonly accumulation: Accumulation | undefined;
  /** What the gradient is the sum of, once it is complete. */
  readonly runs: readonly TermRun[];
  /** Undefined where another device counts them, or none. */
  readonly squares: ShardSquares | undefined;
  /** Backward tasks of this device that contribute. */
  readonly contributors: number;
  /** Undefined where this device alone holds the shard. */
  readonly collective: CollectiveTask | undefined;
  /** Where its devices read each other's gradients; undefined where they are sent. */
  readonly shared: SharedShard | undefined;
  /** Contributors still to come in this pass. */
  missing: number;
  /** The summed gradient of this pass. */
  summed: Promise<void> | undefined;
  isSummed: boolean;
}

/** The gradient as the update reads it. */
export async function wholeGradient(engine: KernelEngine, { gradient, runs }: ShardProgram): Promise<Float32Array> {
  await engine.download([gradient]);
  if (runs.every(({ terms }) => terms.length === 1)) return floats(gradient.host);
  const sum = new Float32Array(gradient.length);
  for (const { start, end, terms } of runs) {
    const values = terms.map(({ host }) => floats(host));
    for (let i = start; i < end; i++) for (const term of values) sum[i]! += term[i]!;
  }
  return sum;
}

/** Gives all kernels back. */
export function releaseShard({ squares, accumulation }: ShardProgram): void {
  for (const kernel of Object.values(accumulation ?? {})) kernel.release();
  for (const kernel of squares?.kernels ?? []) kernel.release();
}
