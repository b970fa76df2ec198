import type { BoundKernel, KernelEngine, TensorBuffer } from '../../kernels/kernels.ts';
import { addKernel, copyKernel } from '../../optimizers/accumulation.ts';
import type { KernelCache } from '../kernel-cache.ts';

/** Kernels over a shard's gradient and the sum of those of the micro-batches before. */
export interface Accumulation {
  /** Sets the sum to the gradient. */
  readonly begin: BoundKernel;
  /** Adds the gradient to the sum. */
  readonly add: BoundKernel;
  /** Adds the sum to the gradient. */
  readonly finish: BoundKernel;
}

/** Memory for the sum of a gradient over micro-batches, and the kernels that take it there and back. */
export function bindAccumulation(engine: KernelEngine, kernels: KernelCache, gradient: TensorBuffer): Accumulation {
  const { length } = gradient;
  const sum = engine.allocate('float32', length);
  const add = kernels.get(addKernel(length));
  return {
    begin: kernels.get(copyKernel(length)).bind({ gradient, output0: sum }),
    add: add.bind({ sum, gradient, output0: sum }),
    finish: add.bind({ sum, gradient, output0: gradient }),
  };
}
