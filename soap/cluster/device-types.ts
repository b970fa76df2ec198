import type { Source } from './cluster.ts';
import { gibibytes, gigabytesPerSec, teraflops } from './units.ts';

/** What a data sheet says of one device. */
export interface DeviceType {
  readonly type: string;
  /** Peak float32 without tensor cores: what float32 training uses by default. */
  readonly flopsPerSec: number;
  readonly memoryBandwidthBytesPerSec: number;
  readonly memoryBytes: number;
  /** Launch of a kernel with its framework's share. */
  readonly taskOverheadUs: number;
  /**
   * Bandwidth to another GPU of the node, one direction: all NVLinks through an NVSwitch, for the P100 (four to a node, a link
   * between every two) one link; PCIe where there is no NVLink.
   */
  readonly intraNodeBytesPerSec: number;
  readonly source: Source;
}

/** Generations of PCI Express. */
export type PcieGeneration = 3 | 4 | 5;

/** What joins a GPU with its neighbours and its host. */
export interface GpuType extends DeviceType {
  /** NVLink: how many, and the rate of one in one direction. Absent where there is none. */
  readonly nvlink?: { readonly links: number; readonly bytesPerSec: number };
  /** Generation of its 16 lanes to the host or the network adapter. */
  readonly pcie: PcieGeneration;
}

/** A CUDA kernel launch takes about 5 us; an op is one or two of them. */
export const GPU_TASK_OVERHEAD_US = 10;

/** NVIDIA GPUs. Vendor NVLink figures add both directions; here each direction counts, so they are halved. */
export const GPU_TYPES: readonly GpuType[] = [
  {
    type: 'P100',
    flopsPerSec: teraflops(10.6),
    memoryBandwidthBytesPerSec: gigabytesPerSec(732),
    memoryBytes: gibibytes(16),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    intraNodeBytesPerSec: gigabytesPerSec(20),
    nvlink: { links: 4, bytesPerSec: gigabytesPerSec(20) },
    pcie: 3,
    source:
      'NVIDIA Tesla P100 data sheet (SXM2): 10.6 TFLOP/s, 732 GB/s, 16 GB; white paper WP-08019-001: 4 NVLinks of 20 GB/s each way',
  },
  {
    type: 'K80',
    flopsPerSec: teraflops(2.8),
    memoryBandwidthBytesPerSec: gigabytesPerSec(240),
    memoryBytes: gibibytes(12),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    intraNodeBytesPerSec: gigabytesPerSec(12),
    pcie: 3,
    source: 'NVIDIA Tesla K80 board specification, one of its two GPUs: 2.8 TFLOP/s, 240 GB/s, 12 GB; PCIe 3.0 x16',
  },
  {
    type: 'V100',
    flopsPerSec: teraflops(15.7),
    memoryBandwidthBytesPerSec: gigabytesPerSec(900),
    memoryBytes: gibibytes(16),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    intraNodeBytesPerSec: gigabytesPerSec(150),
    nvlink: { links: 6, bytesPerSec: gigabytesPerSec(25) },
    pcie: 3,
    source: 'NVIDIA Tesla V100 data sheet (SXM2): 15.7 TFLOP/s, 900 GB/s, 16 GB; 6 NVLinks, 300 GB/s both ways',
  },
  {
    type: 'A100',
    flopsPerSec: teraflops(19.5),
    memoryBandwidthBytesPerSec: gigabytesPerSec(1555),
    memoryBytes: gibibytes(40),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    intraNodeBytesPerSec: gigabytesPerSec(300),
    nvlink: { links: 12, bytesPerSec: gigabytesPerSec(25) },
    pcie: 4,
    source: 'NVIDIA A100 data sheet (SXM4 40 GB): 19.5 TFLOP/s, 1555 GB/s, 40 GB; 12 NVLinks, 600 GB/s both ways',
  },
  {
    type: 'H100',
    flopsPerSec: teraflops(67),
    memoryBandwidthBytesPerSec: gigabytesPerSec(3350),
    memoryBytes: gibibytes(80),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    intraNodeBytesPerSec: gigabytesPerSec(450),
    nvlink: { links: 18, bytesPerSec: gigabytesPerSec(25) },
    pcie: 5,
    source: 'NVIDIA H100 data sheet (SXM5): 67 TFLOP/s, 3350 GB/s, 80 GB; 18 NVLinks, 900 GB/s both ways',
  },
  {
    type: 'GB200',
    flopsPerSec: teraflops(80),
    memoryBandwidthBytesPerSec: gigabytesPerSec(8000),
    memoryBytes: gibibytes(173),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    intraNodeBytesPerSec: gigabytesPerSec(900),
    nvlink: { links: 18, bytesPerSec: gigabytesPerSec(50) },
    pcie: 5,
    source:
      'NVIDIA GB200 NVL72 data sheet over 72 GPUs: 5760 TFLOP/s, 576 TB/s, 13.4 TB (10^12 bytes), NVLink 130 TB/s both ways',
  },
];

/** The entry of a name in capital or small letters, or undefined. */
export function gpuType(name: string): GpuType | undefined {
  return GPU_TYPES.find(({ type }) => type.toLowerCase() === name.toLowerCase());
}

/**
 * One core of a machine with ONNX Runtime's kernels, while its neighbours are busy too, and what a task and a byte cost
 * between processes. Source: `npm run bench:local` on two cores of an AMD EPYC with AVX-512, twice at once: matrix products
 * 70 to 92 GFLOP/s, streaming 15 to 19 GB/s; once: messages through memory that both processes map 2.9 to 3.1 GB/s; a LeNet
 * iteration of two samples takes 75 us a task, nearly all of it fixed cost.
 */
export const LOCAL_CPU: DeviceType = {
  type: 'cpu',
  flopsPerSec: 80e9,
  memoryBandwidthBytesPerSec: gigabytesPerSec(16),
  memoryBytes: gibibytes(8),
  taskOverheadUs: 70,
  intraNodeBytesPerSec: gigabytesPerSec(3),
  source: 'assumed: what npm run bench:local measured on an AMD EPYC core',
};

/** Whether devices of a type are processor cores: those of this machine, or of nodes, whose processor the type names. */
export function isProcessor(type: string): boolean {
  return type === LOCAL_CPU.type || type.startsWith(`${LOCAL_CPU.type} `);
}
