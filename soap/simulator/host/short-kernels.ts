import type { HostCosts } from '../../cost/cost-table.ts';
import type { Action } from './plan.ts';

const MIB = 2 ** 20;

/**
 * Microseconds of a short kernel at most, with its start. One that runs on the thread that asks for it saves the way to another thread and
 * back; messages wait so long for that thread at most. Source: measured, docs/decisions/0043-short-kernels.md.
 */
export const SHORT_KERNEL_US = 400;

/** Whether a kernel that takes so long runs on the thread that asks for it. What runs and what is simulated both ask. */
export function isShortKernel(us: number): boolean {
  return us < SHORT_KERNEL_US;
}

/** Kernels of one action, which follow each other on one thread; microseconds. */
export interface KernelRuns {
  readonly runs: number;
  /** Of each. */
  readonly startUs: number;
  /** Of all, beside their starts. */
  readonly workUs: number;
}

/** The kernels of an action. @param taskUs by task, what it adds to them */
export function kernelsOf(
  action: Action,
  taskUs: Float64Array,
  costs: Pick<HostCosts, 'kernelUs' | 'updateUs' | 'readUsPerMiB' | 'copyUsPerMiB'>,
): KernelRuns {
  const { kernelUs, updateUs } = costs;
  if (action.kind === 'update') {
    const workUs = taskUs[action.task]! + readingUs(costs, action.readBytes);
    return { runs: action.runs, startUs: updateUs, workUs };
  }
  return { runs: 1, startUs: kernelUs, workUs: action.tasks.reduce((sum, task) => sum + taskUs[task]!, 0) };
}

/** What a kernel takes longer that reads so many bytes of other devices' gradients. */
export function readingUs(
  { copyUsPerMiB, readUsPerMiB = copyUsPerMiB }: Pick<HostCosts, 'readUsPerMiB' | 'copyUsPerMiB'>,
  bytes: number,
): number {
  return (readUsPerMiB * bytes) / MIB;
}

/** What kernels take where they run, and whether that is the thread that asks: see `runtime/program/kernel-runner.ts`. */
export function kernelTime(
  { handUs }: Pick<HostCosts, 'handUs'>,
  { runs, startUs, workUs }: KernelRuns,
): { readonly us: number; readonly isHere: boolean } {
  const hereUs = runs * startUs + workUs;
  if (handUs === undefined) return { us: hereUs, isHere: false };
  const awayUs = hereUs + runs * handUs;
  return isShortKernel(awayUs) ? { us: hereUs, isHere: true } : { us: awayUs, isHere: false };
}
