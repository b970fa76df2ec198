import type { BoundKernel } from './kernels.ts';

/**
 * Kernels of which none needs another as one: so many run at once, and the next one starts where one is done. For kernels of nodes that
 * the engine gives to one thread however many there are, such as sums of short vectors.
 */
export function together(kernels: readonly BoundKernel[], concurrency: number): BoundKernel {
  return {
    async run() {
      const left = kernels.values();
      const lane = async (): Promise<void> => {
        for (const kernel of left) await kernel.run();
      };
      await Promise.all(Array.from({ length: Math.min(concurrency, kernels.length) }, lane));
    },
    release() {
      for (const kernel of kernels) kernel.release();
    },
  };
}
