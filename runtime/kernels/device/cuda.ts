import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { KernelError } from '../kernels.ts';
import { loadNative } from '../native-library.ts';
import { libraryPath } from '../onnxruntime/library.ts';

/** What of CUDA is on this machine beside the driver: the files of ONNX Runtime's provider, and cuDNN. */

/** Files that the provider is in; the library names it among its providers without them, too. */
const PROVIDER_FILES = ['libonnxruntime_providers_shared.so', 'libonnxruntime_providers_cuda.so'];
/** Under which names cuDNN is looked for: the provider opens the first by itself, when a kernel needs it. */
const CUDNN = ['libcudnn.so', 'libcudnn.so.9'];

/** Whether the files of the provider are beside the library; loading them is another matter. */
export function hasCudaProvider(): boolean {
  return providerPaths().every((path) => existsSync(path));
}

/** The file that the provider is loaded from. */
export function cudaProviderPath(): string {
  return providerPaths().at(-1)!;
}

/** Whether the system's loader finds cuDNN. */
export function hasCudnn(): boolean {
  return CUDNN.some(isThere);
}

/** @throws {KernelError} where cuDNN is absent, which would else be said in the middle of the first step */
export function requireCudnn(): void {
  if (hasCudnn()) return;
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
