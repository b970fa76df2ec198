import { loadNative } from '../native-library.ts';

const SUCCESS = 0;
const DRIVER = 'libcuda.so.1';

/**
 * How many GPUs the driver of CUDA lets this process see, CUDA_VISIBLE_DEVICES considered; 0 where there is no driver.
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
