import type * as liveness from '../../../soap/tasks/liveness/cut.ts';
import { cutSteps } from '../../../soap/tasks/liveness/cut.ts';
import type { TensorBuffer } from '../../kernels/kernels.ts';
import type { Stage } from './stage.ts';
import { writtenBy } from './stage.ts';

/** A compute task of a device with what surrounds it. */
export interface Step<Task> extends liveness.Step<Task, TensorBuffer> {
  /** In the order in which they run. */
  readonly stages: readonly Stage[];
}

/** A run of tasks of one direction that nothing interrupts: one kernel. */
export type Segment<Task> = liveness.Segment<Step<Task>>;

/** Cuts tasks into segments; the planner cuts them in the same way. */
export function cutSegments<Task>(steps: readonly Step<Task>[]): Segment<Task>[] {
  return cutSteps<TensorBuffer, Step<Task>>(steps, ({ stages }) => stages.flatMap(writtenBy));
}
