import { loadNative } from '../native-library.ts';

/** What NVIDIA's driver says of the GPUs that it lets this process see, CUDA_VISIBLE_DEVICES considered. */

const DRIVER = 'libcuda.so.1';
const SUCCESS = 0;
const NAME_BYTES = 256;
const HZ_PER_KHZ = 1000;

/** Source: `CUdevice_attribute` of cuda.h, CUDA 13.0. */
const ATTRIBUTES = {
  clockKhz: 13,
  multiprocessors: 16,
  memoryClockKhz: 36,
  busBits: 37,
  major: 75,
  minor: 76,
} as const;

/** Of a GPU, as the driver counts. */
export type GpuAttributes = Readonly<Record<keyof typeof ATTRIBUTES, number>>;

/** A GPU of this machine. */
export interface CudaGpu {
  /** Such as `NVIDIA H100 80GB HBM3`. */
  readonly name: string;
  readonly memoryBytes: number;
  /** Peak float32 without tensor cores. */
  readonly flopsPerSec: number;
  readonly memoryBandwidthBytesPerSec: number;
}

/** The library of the driver. */
export interface CudaDriver {
  /** @param prototype a function's, in C */
  func(prototype: string): (...values: unknown[]) => unknown;
}

/** How many there are; 0 where there is no driver. Source: CUDA Driver API, cuInit and cuDeviceGetCount. */
export function cudaGpuCount(load: () => CudaDriver = loadDriver): number {
  try {
    const driver = load();
    const initialize = driver.func('int cuInit(uint flags)');
    const count = driver.func('int cuDeviceGetCount(void* count)');
    const found = new Int32Array(1);
    return initialize(0) === SUCCESS && count(found) === SUCCESS ? found[0]! : 0;
  } catch {
    // There is no driver, so there is no GPU for it either.
    return 0;
  }
}

/** All of them, by number. Source: CUDA Driver API, Device Management. */
export function cudaGpus(load: () => CudaDriver = loadDriver): CudaGpu[] {
  const count = cudaGpuCount(load);
  if (count === 0) return [];
  const driver = load();
  const handleOf = driver.func('int cuDeviceGet(void* device, int number)');
  const nameOf = driver.func('int cuDeviceGetName(void* name, int bytes, int device)');
  const memoryOf = driver.func('int cuDeviceTotalMem_v2(void* bytes, int device)');
  const attributeOf = driver.func('int cuDeviceGetAttribute(void* value, int attribute, int device)');
  return Array.from({ length: count }, (_, number) => {
    const [handle, value] = [new Int32Array(1), new Int32Array(1)];
    const [name, memory] = [Buffer.alloc(NAME_BYTES), new BigUint64Array(1)];
    handleOf(handle, number);
    nameOf(name, NAME_BYTES, handle[0]);
    memoryOf(memory, handle[0]);
    const read = (attribute: number): number => {
      attributeOf(value, attribute, handle[0]);
      return value[0]!;
    };
    const { clockKhz, multiprocessors, memoryClockKhz, busBits, major, minor } = ATTRIBUTES;
    return {
      name: name.toString('utf8', 0, name.indexOf(0)),
      memoryBytes: Number(memory[0]),
      ...gpuSpeed({
        clockKhz: read(clockKhz),
        multiprocessors: read(multiprocessors),
        memoryClockKhz: read(memoryClockKhz),
        busBits: read(busBits),
        major: read(major),
        minor: read(minor),
      }),
    };
  });
}

function loadDriver(): CudaDriver {
  return loadNative(DRIVER);
}

/**
 * What data sheets count as peak: a multiplication and an addition of every lane in every clock; both edges of the memory's clock.
 * Source: CUDA C++ Programming Guide, throughput of native arithmetic instructions, by compute capability.
 */
export function gpuSpeed(gpu: GpuAttributes): Pick<CudaGpu, 'flopsPerSec' | 'memoryBandwidthBytesPerSec'> {
  const { clockKhz, multiprocessors, memoryClockKhz, busBits } = gpu;
  return {
    flopsPerSec: 2 * multiprocessors * lanes(gpu) * clockKhz * HZ_PER_KHZ,
    memoryBandwidthBytesPerSec: ((2 * busBits) / 8) * memoryClockKhz * HZ_PER_KHZ,
  };
}

/** Float32 additions of a multiprocessor in a clock. */
function lanes({ major, minor }: Pick<GpuAttributes, 'major' | 'minor'>): number {
  const isHalf = major === 7 || ((major === 6 || major === 8) && minor === 0);
  return isHalf ? 64 : 128;
}
