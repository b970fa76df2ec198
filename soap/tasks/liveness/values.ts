import type { ComputeTask } from '../task-graph.ts';
import type { Step } from './cut.ts';

/** Memory of a device for a tensor, or a part of one. */
export interface Value {
  readonly bytes: number;
  /** The op that needs it. */
  readonly op: number;
  readonly use: ValueUse;
  /** Whether it is there all the time. */
  readonly kept: boolean;
}

/**
 * `parameters`: weights and what the optimizer keeps; `parameterGradient`; `data`: what is read of the batch, and masks; `output`: what a
 * part computes and saves; `input`: what is put together for it; `gradient`: of an output or an input; `statistics`.
 */
export type ValueUse = 'parameters' | 'parameterGradient' | 'data' | 'output' | 'input' | 'gradient' | 'statistics';

/** A kernel of a task. */
export interface ValueStage {
  readonly reads: readonly Value[];
  readonly writes: readonly Value[];
}

/** A compute task with the memory that it needs: the twin of `runtime/program/compute-step.ts`. */
export interface ValueStep extends Step<ComputeTask, Value> {
  readonly stages: readonly ValueStage[];
  /** What is put together outside of kernels before it. */
  readonly fills: readonly Value[];
  /** What is read outside of kernels once it is done, and of that, what may be read until the pass is over. */
  readonly readAfter: readonly Value[];
  readonly leaves: readonly Value[];
}
