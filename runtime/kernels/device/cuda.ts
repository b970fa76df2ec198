import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KernelError } from '../kernels.ts';
import { loadNative } from '../native-library.ts';
import { libraryPath } from '../onnxruntime/library.ts';

/** What of CUDA is on this machine: the driver with its GPUs, the files of ONNX Runtime's provider, and cuDNN. */

const DRIVER = 'libcuda.so.1';
const SUCCESS = 0;
/** Files that the provider is in; the library names it among its providers without them, too. */
const PROVIDER_FILES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
/** Under which names cuDNN is looked for: the provider opens the first by itself, when a kernel needs it. */
const CUDNN = ['libcudnn.so', 'libcudnn.so.9'];

/**
 * How many GPUs the driver lets this process see, CUDA_VISIBLE_DEVICES considered; 0 where there is no driver.
 * Source: CUDA Driver API, cuInit and cuDeviceGetCount.
 */
export function cudaGpus(): number {
  try {
    const driver = loadNative(DRIVER);
    const [initialize, count] = [
      driver.func('int cuInit(uint flags)'),
      driver.func('int cuDeviceGetCount(void* count)'),
    ];
    const found = new Int32Array(1);
    return initialize(0) === SUCCESS && count(found) === SUCCESS ? found[0]! : 0;
  } catch {
    // There is no driver, so there is no GPU for it either.
    return 0;
  }
}

/** Whether the files of the provider are beside the library; loading them is another matter. */
export function hasCudaProvider(): boolean {
  return providerPaths().every((path) => existsSync(path));
}

/** The file that the provider is loaded from. */
export function cudaProviderPath(): string {
  return providerPaths().at(-1)!;
}

/** @throws {KernelError} where cuDNN is absent, which would else be said in the middle of the first step */
export function requireCudnn(): void {
  if (CUDNN.some(isThere)) return;
  throw new KernelError(`cuDNN is absent: the system's loader finds no ${CUDNN.join(' or ')}`);
}

function isThere(name: string): boolean {
  try {
    loadNative(name);
    return true;
  } catch {
    return false;
  }
}

function providerPaths(): string[] {
  const folder = dirname(libraryPath());
  return PROVIDER_FILES.map((name) => join(folder, name));
}
