/**
 * Microseconds of a short kernel at most. One that runs on the thread that asks for it saves the way to another thread and back, some 40 us
 * on the machine of docs/performance.md; messages wait so long for that thread at most.
 */
export const SHORT_KERNEL_US = 400;

/** Whether a kernel that takes so long runs on the thread that asks for it. What runs and what is simulated both ask. */
export function isShortKernel(us: number): boolean {
  return us < SHORT_KERNEL_US;
}
