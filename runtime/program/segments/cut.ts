import type { TensorBuffer } from '../../kernels/kernels.ts';
import type { Stage } from './stage.ts';
import { writtenBy } from './stage.ts';

/** A compute task of a device with what surrounds it. */
export interface Step<Task> {
  readonly task: Task;
  readonly direction: 'forward' | 'backward';
  /** Microseconds that the simulator gives the task. */
  readonly durationUs: number;
  /** In the order in which they run. */
  readonly stages: readonly Stage[];
  /** Whether a message must have come before it. */
  readonly receives: boolean;
  /** Memory that JavaScript copies or adds up before it. */
  readonly copies: readonly TensorBuffer[];
  /** Whether other devices wait for what it computes. */
  readonly sends: boolean;
}

/** A run of tasks of one direction that nothing interrupts: one kernel. */
export interface Segment<Task> {
  readonly direction: 'forward' | 'backward';
  readonly steps: readonly Step<Task>[];
}

/**
 * Predicted microseconds of work that what is ready to be sent may wait for. A cut costs about this much: what a kernel costs
 * beside its arithmetic (`taskOverheadUs` of LOCAL_CPU), for the one before and the one after.
 */
export const MAX_SEND_DELAY_US = 150;

/**
 * Cuts tasks, in the order that the simulator found, into segments: before a task that needs a message, or that needs copies of
 * what the segment computes; after a task that others wait for, unless what follows is so little that the message is as good
 * as not delayed; and where the direction turns. The order stays, so messages leave and arrive as simulated.
 */
export function cutSegments<Task>(steps: readonly Step<Task>[]): Segment<Task>[] {
  const segments: Segment<Task>[] = [];
  let open: Step<Task>[] = [];
  let delayUs: number | undefined;
  const close = (): void => {
    if (open.length > 0) segments.push({ direction: open[0]!.direction, steps: open });
    [open, delayUs] = [[], undefined];
  };
  for (const step of steps) {
    if (delayUs !== undefined) delayUs += step.durationUs;
    if ((delayUs ?? 0) > MAX_SEND_DELAY_US || mustCut(open, step)) close();
    open.push(step);
    if (step.sends) delayUs ??= 0;
  }
  close();
  return segments;
}

function mustCut<Task>(open: readonly Step<Task>[], next: Step<Task>): boolean {
  if (open.length === 0) return false;
  if (next.receives || next.direction !== open[0]!.direction) return true;
  if (next.copies.length === 0) return false;
  const written = new Set(open.flatMap(({ stages }) => stages.flatMap(writtenBy)));
  return next.copies.some((memory) => written.has(memory));
}
