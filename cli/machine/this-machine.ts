import { arch, cpus, totalmem } from 'node:os';
import process from 'node:process';
import type { Cluster, Device } from '../../soap/cluster/cluster.ts';
import type { LocalNumbers } from '../../soap/cluster/presets.ts';
import { GPU_TASK_OVERHEAD_US } from '../../soap/cluster/device-types.ts';
import { localCluster, machineCluster } from '../../soap/cluster/presets.ts';
import { productOf } from '../../soap/cluster/products.ts';
import type { CudaGpu } from '../../runtime/kernels/device/cuda-driver.ts';
import { devicesInWords } from '../terminal/format.ts';

/** Of the machine's memory, what plans may use: the rest is for processes themselves, and for what else runs. */
const USABLE_SHARE = 0.8;

/**
 * Processes of this machine as a cluster: with the table's numbers for a core each, and a source that says that nobody measured them
 * here, and an equal share of the machine's memory; or where there are GPUs that they compute on, with these, taken in turn. Tensors go
 * from one to another through the memory of the machine in both cases.
 */
export function thisMachine(devices: number, gpus: readonly CudaGpu[] = []): Cluster {
  if (gpus.length > 0) return machineCluster(Array.from({ length: devices }, (_, i) => gpuDevice(i, devices, gpus)));
  return localCluster(devices, {
    memoryBytes: memoryShareBytes(devices),
    source: `an assumption about a core of ${processorName()}; soapstone profile measures it`,
  });
}

/** What each of so many processes may use of this machine's memory, or of what its control group may. */
function memoryShareBytes(devices: number): number {
  // Where nothing constrains it, the limit is 0 or beyond what there is.
  const limitBytes = process.constrainedMemory();
  const bytes = limitBytes > 0 ? Math.min(limitBytes, totalmem()) : totalmem();
  return Math.floor((USABLE_SHARE * bytes) / devices);
}

/** The type that tables of costs know a GPU by, which is that of labelled nodes: labels have no spaces. */
export function gpuTypeOf({ name }: CudaGpu): string {
  return productOf(name)?.type ?? name.replaceAll(' ', '-');
}

/** Such as `2 devices, one core each, 80 GFLOP/s (an assumption ...)`. */
export function machineInWords({ devices }: Cluster, gpus: readonly CudaGpu[]): string {
  const [first] = devices;
  const speed = `${((first?.flopsPerSec ?? 0) / 1e9).toFixed(0)} GFLOP/s (${first?.source})`;
  const each = gpus.length === 0 ? 'one core each' : gpus.length < devices.length ? 'which share GPUs' : 'one GPU each';
  return `${devicesInWords(devices.length)}, ${each}, ${speed}`;
}

/** A device of several, which share a GPU where there are fewer of these. */
function gpuDevice(index: number, devices: number, gpus: readonly CudaGpu[]): Omit<Device, 'id' | 'node'> {
  const gpu = gpus[index % gpus.length]!;
  const sharers = Math.ceil((devices - (index % gpus.length)) / gpus.length);
  return {
    name: `local/gpu${index}`,
    type: gpuTypeOf(gpu),
    flopsPerSec: gpu.flopsPerSec / sharers,
    memoryBandwidthBytesPerSec: gpu.memoryBandwidthBytesPerSec / sharers,
    memoryBytes: Math.floor(gpu.memoryBytes / sharers),
    taskOverheadUs: GPU_TASK_OVERHEAD_US,
    source: `the driver's numbers of ${gpu.name}${sharers === 1 ? '' : `, of which ${sharers} devices have a share each`}`,
  };
}

/** The same with links as they were measured. @param links their numbers, and where these are from */
export function thisMachineWithLinks(
  devices: number,
  links: Required<Pick<LocalNumbers, 'intraNodeBytesPerSec' | 'messageLatencyUs' | 'linkSource'>>,
): Cluster {
  const source = `an assumption about a core of ${processorName()}; kernels as ${links.linkSource} has them`;
  return localCluster(devices, { ...links, memoryBytes: memoryShareBytes(devices), source });
}

/** Whether a cluster is processes of one machine, which is this one. */
export function isOfThisMachine({ name }: Cluster): boolean {
  return name.startsWith('localx');
}

/** Such as `Intel(R) Xeon(R) Platinum 8481C CPU @ 2.70GHz`; some systems only know the architecture. */
function processorName(): string {
  const name = cpus()[0]?.model.trim().replaceAll(/\s+/g, ' ') ?? '';
  return name === '' || name === 'unknown' ? arch() : name;
}
