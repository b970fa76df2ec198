import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import { hasCudaProvider, hasCudnn } from './device/cuda.ts';
import type { CudaGpu } from './device/cuda-driver.ts';
import { cudaGpuCount, cudaGpus } from './device/cuda-driver.ts';
import { createDeviceEngine } from './device/engine.ts';
import type { DeviceProviderName } from './device/providers.ts';
import { DEVICE_PROVIDERS } from './device/providers.ts';
import { hasRealGpu } from './device/real-gpu.ts';
import type { KernelEngine } from './kernels.ts';
import { KernelError } from './kernels.ts';
import type { ThreadPool } from './onnxruntime/environment.ts';
import { createOnnxRuntimeEngine } from './onnxruntime/engine.ts';
import { createReferenceEngine } from './reference/engine.ts';

/** Threads are those of kernels that run on the CPU. */
export interface EngineOptions extends ThreadPool {
  /** Which device of this machine, counted from 0: where the provider tells GPUs apart, devices take them in turn. */
  readonly gpu: number;
}

/** An engine, and what it computes on. */
export interface ChosenEngine {
  readonly provider: Exclude<KernelProvider, 'auto'>;
  readonly engine: KernelEngine;
}

/** @throws {KernelError} a sentence with the cure, where what is asked for is not there; `auto` is always there */
export function createKernelEngine(provider: KernelProvider, options: EngineOptions): ChosenEngine {
  switch (provider) {
    case 'auto':
      return fastestEngine(options);
    case 'cpu':
      return { provider, engine: createOnnxRuntimeEngine(options) };
    case 'reference':
      return { provider, engine: createReferenceEngine() };
    case 'webgpu':
    case 'cuda':
      return { provider, engine: createDeviceEngine(provider, options) };
  }
}

/**
 * Looks, before anything that takes long, whether a provider can be here at all: whether it works shows when an engine is made.
 * @throws {KernelError} a sentence with the cure, where its library is missing
 */
export function requireLibrary(provider: KernelProvider): void {
  if (provider !== 'cuda' || hasCudaProvider()) return;
  const { title, cure } = DEVICE_PROVIDERS[provider];
  throw new KernelError(`there is no ${title} device here (the library of the provider is missing): ${cure}`);
}

/** The GPUs that devices take in turn, where a provider computes on them and tells them apart; none for others. */
export function gpusHere(provider: KernelProvider): readonly CudaGpu[] {
  return (provider === 'cuda' || provider === 'auto') && hasCudaGpu() ? cudaGpus() : [];
}

/** Why NVIDIA GPUs that are here are not computed on, though a provider would: a clause. Undefined where there are none, or they are. */
export function whyGpusIdle(provider: KernelProvider): string | undefined {
  if (provider !== 'auto' || hasCudaGpu() || hasRealGpu() || cudaGpuCount() === 0) return undefined;
  return hasCudaProvider() ? 'cuDNN is missing' : "ONNX Runtime's library for CUDA is missing";
}

function hasCudaGpu(): boolean {
  return hasCudaProvider() && hasCudnn() && cudaGpuCount() > 0;
}

function fastestEngine(options: EngineOptions): ChosenEngine {
  const cuda = hasCudaGpu() ? tried('cuda', options) : undefined;
  const gpu = cuda ?? (hasRealGpu() ? tried('webgpu', options) : undefined);
  return gpu ?? createKernelEngine('cpu', options);
}

function tried(provider: DeviceProviderName, options: EngineOptions): ChosenEngine | undefined {
  try {
    return createKernelEngine(provider, options);
  } catch (error) {
    if (error instanceof KernelError) return undefined;
    throw error;
  }
}
