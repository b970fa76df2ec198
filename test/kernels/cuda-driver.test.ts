import test from 'ava';
import type { CudaDriver, GpuAttributes } from '../../runtime/kernels/device/cuda-driver.ts';
import { cudaGpuCount, cudaGpus, gpuSpeed } from '../../runtime/kernels/device/cuda-driver.ts';
import { productOf } from '../../soap/cluster/products.ts';

/** As deviceQuery of CUDA's samples prints them: MHz of the cores and of the memory, multiprocessors, bits of the bus, capability. */
const GPUS: readonly (readonly [string, number, number, number, number, number, number])[] = [
  ['Tesla P100-SXM2-16GB', 1480.5, 715, 56, 4096, 6, 0],
  ['Tesla V100-SXM2-16GB', 1530, 877, 80, 4096, 7, 0],
  ['Tesla T4', 1590, 5001, 40, 256, 7, 5],
  ['NVIDIA A100-SXM4-40GB', 1410, 1215, 108, 5120, 8, 0],
  ['NVIDIA A40', 1740, 7251, 84, 384, 8, 6],
  ['NVIDIA L4', 2040, 6251, 58, 192, 8, 9],
  ['NVIDIA H100 80GB HBM3', 1980, 2619, 132, 5120, 9, 0],
];

for (const [name, clockMhz, memoryClockMhz, multiprocessors, busBits, major, minor] of GPUS) {
  test(`what the driver says of ${name} comes to what its data sheet does`, (t) => {
    const attributes: GpuAttributes = {
      clockKhz: clockMhz * 1000,
      memoryClockKhz: memoryClockMhz * 1000,
      multiprocessors,
      busBits,
      major,
      minor,
    };
    const { flopsPerSec, memoryBandwidthBytesPerSec } = gpuSpeed(attributes);
    const sheet = productOf(name)!;
    t.true(Math.abs(flopsPerSec / sheet.flopsPerSec - 1) < 0.01, `${flopsPerSec} of ${sheet.flopsPerSec}`);
    const ratio = memoryBandwidthBytesPerSec / sheet.memoryBandwidthBytesPerSec;
    t.true(Math.abs(ratio - 1) < 0.01, `${memoryBandwidthBytesPerSec} of ${sheet.memoryBandwidthBytesPerSec}`);
  });
}

/** A driver with two H100s. Numbers of attributes are those of cuda.h. */
const H100 = new Map([
  [13, 1_980_000],
  [16, 132],
  [36, 2_619_000],
  [37, 5120],
  [75, 9],
  [76, 0],
]);
const [HANDLES, MEMORY_BYTES] = [[70, 71], 85_017_493_504n];

const FUNCTIONS: Readonly<Record<string, (...values: never[]) => number>> = {
  cuInit: (flags: number) => (flags === 0 ? 0 : 1),
  cuDeviceGetCount: (count: Int32Array) => set(count, HANDLES.length),
  cuDeviceGet: (handle: Int32Array, number: number) => set(handle, HANDLES[number]!),
  cuDeviceGetName: (name: Buffer, bytes: number, handle: number) =>
    name.length === bytes && name.write(`NVIDIA H100 80GB HBM3 ${handle}\0`) > 0 ? 0 : 1,
  cuDeviceTotalMem_v2: (bytes: BigUint64Array, handle: number) => {
    bytes[0] = MEMORY_BYTES + BigInt(handle);
    return 0;
  },
  cuDeviceGetAttribute: (value: Int32Array, attribute: number) => set(value, H100.get(attribute)!),
};

function set(target: Int32Array, value: number): number {
  target[0] = value;
  return 0;
}

const driver: CudaDriver = {
  func(prototype) {
    const [, name = ''] = /^int (\w+)\(/.exec(prototype) ?? [];
    const call = FUNCTIONS[name]!;
    return (...values) => Reflect.apply(call, undefined, values);
  },
};

test('every GPU is told by its name, memory and speed; without a driver there is none', (t) => {
  const gpus = cudaGpus(() => driver);
  t.deepEqual(
    gpus.map(({ name, memoryBytes }) => [name, memoryBytes]),
    HANDLES.map((handle) => [`NVIDIA H100 80GB HBM3 ${handle}`, Number(MEMORY_BYTES) + handle]),
  );
  for (const { flopsPerSec } of gpus) t.is(Math.round(flopsPerSec / 1e11), 669);
  const absent = (): never => {
    throw new Error('no libcuda.so.1');
  };
  t.deepEqual([cudaGpuCount(absent), cudaGpus(absent)], [0, []]);
  t.is(
    cudaGpuCount(() => ({ func: () => () => 100 })),
    0,
  );
});
