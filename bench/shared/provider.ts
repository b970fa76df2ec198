import type { ChosenEngine } from '../../runtime/kernels/create-engine.ts';
import { createKernelEngine } from '../../runtime/kernels/create-engine.ts';
import type { ThreadPool } from '../../runtime/kernels/onnxruntime/environment.ts';
import { isKernelProvider, KERNEL_PROVIDERS } from '../../soap/job/kernel-providers.ts';

/** The engine of a benchmark's `--provider`, on the first GPU. @throws {RangeError} for a name that is none */
export function engineOf(provider: string, pool: ThreadPool = { threads: 1 }): ChosenEngine {
  if (!isKernelProvider(provider)) {
    throw new RangeError(`--provider is ${provider}; expected one of ${KERNEL_PROVIDERS.join(', ')}`);
  }
  return createKernelEngine(provider, { ...pool, gpu: 0 });
}
