/** A compute task of a device with what surrounds it. */
export interface Step<Task, Memory> {
  readonly task: Task;
  readonly direction: 'forward' | 'backward';
  /** Microseconds that the simulator gives the task. */
  readonly durationUs: number;
  /** Whether a message must have come before it. */
  readonly receives: boolean;
  /** Memory that is copied or added up before it outside of kernels. */
  readonly copies: readonly Memory[];
  /** Whether other devices wait for what it computes. */
  readonly sends: boolean;
}

/** A run of tasks of one direction that nothing interrupts: one kernel. */
export interface Segment<OneStep> {
  readonly direction: 'forward' | 'backward';
  readonly steps: readonly OneStep[];
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
 * @param writtenBy memory that a step's kernels write
 */
export function cutSteps<Memory, OneStep extends Step<unknown, Memory>>(
  steps: readonly OneStep[],
  writtenBy: (step: OneStep) => Iterable<Memory>,
): Segment<OneStep>[] {
  const segments: Segment<OneStep>[] = [];
  let open: OneStep[] = [];
  let delayUs: number | undefined;
  const close = (): void => {
    if (open.length > 0) segments.push({ direction: open[0]!.direction, steps: open });
    [open, delayUs] = [[], undefined];
  };
  for (const step of steps) {
    if (delayUs !== undefined) delayUs += step.durationUs;
    if ((delayUs ?? 0) > MAX_SEND_DELAY_US || mustCut(open, step, writtenBy)) close();
    open.push(step);
    if (step.sends) delayUs ??= 0;
  }
  close();
  return segments;
}

function mustCut<Memory, OneStep extends Step<unknown, Memory>>(
  open: readonly OneStep[],
  next: OneStep,
  writtenBy: (step: OneStep) => Iterable<Memory>,
): boolean {
  if (open.length === 0) return false;
  if (next.receives || next.direction !== open[0]!.direction) return true;
  if (next.copies.length === 0) return false;
  const written = new Set(open.flatMap((step) => [...writtenBy(step)]));
  return next.copies.some((memory) => written.has(memory));
}
