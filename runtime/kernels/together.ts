import type { BoundKernel } from './kernels.ts';

/**
 * Kernels of which none needs another as one: so many run at once, and the next one starts where one is done. For kernels of nodes that
 * the engine gives to one thread however many there are, such as sums of short vectors. Where only one runs at once, the thread that asks can.
 */
export function together(kernels: readonly BoundKernel[], concurrency: number): BoundKernel {
  const lanes = Math.min(concurrency, kernels.length);
  const inTurn = lanes === 1 ? kernels.flatMap((kernel) => kernel.runHere?.bind(kernel) ?? []) : [];
  return {
    ...(inTurn.length === kernels.length ? { runHere: () => inTurn.forEach((run) => run()) } : {}),
    async run() {
      const left = kernels.values();
      const lane = async (): Promise<void> => {
        for (const kernel of left) await kernel.run();
      };
      await Promise.all(Array.from({ length: lanes }, lane));
    },
    release() {
      for (const kernel of kernels) kernel.release();
    },
  };
}
