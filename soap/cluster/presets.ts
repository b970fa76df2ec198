import type { Cluster, Connection, Device } from './cluster.ts';
import type { DeviceType } from './device-types.ts';
import { GPU_TYPES, LOCAL_CPU } from './device-types.ts';
import { describeNodes } from './node-groups.ts';
import { createCluster } from './topology.ts';
import { gigabitsPerSec } from './units.ts';
import type { WiringKind } from './wiring.ts';
import { INTRA_NODE_LATENCY_US, PCIE } from './wiring.ts';

const PAPER = 'FlexFlow paper, section 8.1';

interface Preset {
  readonly type: string;
  readonly gpusPerNode: number;
  /** Network per node, each way. */
  readonly network: { readonly bandwidthBytesPerSec: number; readonly source: string };
  readonly wiring: WiringKind;
}

/** From a host to the network: half of a one-way trip through two InfiniBand adapters, a switch and their software. */
const NETWORK_LATENCY_US = 5;

const PRESETS: Readonly<Record<string, Preset>> = {
  p100: {
    type: 'P100',
    gpusPerNode: 4,
    network: { bandwidthBytesPerSec: gigabitsPerSec(100), source: `${PAPER}: 100 Gb/s EDR InfiniBand` },
    wiring: 'nvlinkMesh',
  },
  k80: {
    type: 'K80',
    gpusPerNode: 4,
    network: { bandwidthBytesPerSec: gigabitsPerSec(56), source: `${PAPER}: 56 Gb/s InfiniBand` },
    wiring: 'pciePairs',
  },
  v100: {
    type: 'V100',
    gpusPerNode: 8,
    network: {
      bandwidthBytesPerSec: gigabitsPerSec(100),
      source: 'NVIDIA DGX-1 class node, one 100 Gb/s adapter used',
    },
    wiring: 'nvswitch',
  },
  a100: {
    type: 'A100',
    gpusPerNode: 8,
    network: { bandwidthBytesPerSec: gigabitsPerSec(8 * 200), source: 'NVIDIA DGX A100 data sheet: 8 x 200 Gb/s' },
    wiring: 'nvswitch',
  },
  h100: {
    type: 'H100',
    gpusPerNode: 8,
    network: { bandwidthBytesPerSec: gigabitsPerSec(8 * 400), source: 'NVIDIA DGX H100 data sheet: 8 x 400 Gb/s' },
    wiring: 'nvswitch',
  },
};

/** Most devices of a preset; a cluster file has no such bound. */
const MAX_PRESET_DEVICES = 4096;

/**
 * A cluster by name: `p100x16`, `k80x64`, `v100xN`, `a100xN`, `h100xN` with N a power of two, `local` or `localxN`.
 * @throws {RangeError} saying which names there are
 */
export function presetCluster(name: string): Cluster {
  const match = /^(local|[a-z]+[0-9]+)(?:x([0-9]+))?$/.exec(name);
  const [, family = '', digits] = match ?? [];
  const count = Number(digits ?? (family === 'local' ? 2 : Number.NaN));
  if (family === 'local' && count >= 1 && count <= 64) return localCluster(count);
  const preset = Object.hasOwn(PRESETS, family) ? PRESETS[family] : undefined;
  if (preset === undefined || !isPowerOfTwo(count) || count > MAX_PRESET_DEVICES) {
    const names = [...Object.keys(PRESETS).map((key) => `${key}xN`), 'local', 'localxN'].join(', ');
    throw new RangeError(
      `there is no cluster '${name}'; expected ${names} (N a power of two), or the path of a cluster file`,
    );
  }
  return gpuCluster(name, preset, count);
}

/**
 * Processes of this machine, one core each, that talk over the loopback interface.
 * @param measured numbers of this machine in place of the table's, with their source
 */
export function localCluster(devices: number, measured: Partial<LocalNumbers> = {}): Cluster {
  const { intraNodeBytesPerSec, messageLatencyUs, ...device }: LocalNumbers = {
    ...LOCAL_CPU,
    messageLatencyUs: LOOPBACK_LATENCY_US,
    ...measured,
  };
  const connections = Array.from({ length: devices }, (_, i): Connection => ({
    between: [`local/cpu${i}`, 'local/loopback'],
    bandwidthBytesPerSec: intraNodeBytesPerSec,
    latencyUs: messageLatencyUs / 2,
    source: device.source,
  }));
  const cpus = Array.from({ length: devices }, (_, i): Omit<Device, 'id'> => ({
    name: `local/cpu${i}`,
    node: 'local',
    ...device,
  }));
  return createCluster({ name: `localx${devices}`, devices: cpus, connections });
}

/** What is known of one core of this machine. */
export interface LocalNumbers extends DeviceType {
  /** From sending a small message to having received it, between two processes. */
  readonly messageLatencyUs: number;
}

/** A message between two Node processes, from send to resumed receiver. Source: `npm run bench:local`: 95 to 113 us. */
const LOOPBACK_LATENCY_US = 100;

function gpuCluster(name: string, { type: typeName, gpusPerNode, network, wiring }: Preset, count: number): Cluster {
  const { type, intraNodeBytesPerSec, source, ...numbers } = GPU_TYPES.find((entry) => entry.type === typeName)!;
  const devicesPerNode = Math.min(gpusPerNode, count);
  const device = { bandwidthBytesPerSec: intraNodeBytesPerSec, latencyUs: INTRA_NODE_LATENCY_US, source };
  const group = {
    count: count / devicesPerNode,
    devicesPerNode,
    device: { type, source, ...numbers },
    wiring: { kind: wiring, device, host: PCIE },
    network: { latencyUs: NETWORK_LATENCY_US, ...network },
  };
  return createCluster(describeNodes(name, [group]));
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && Number.isInteger(Math.log2(value));
}
