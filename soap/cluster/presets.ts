import type { Cluster, Connection, Device } from './cluster.ts';
import type { DeviceType } from './device-types.ts';
import { GPU_TYPES, LOCAL_CPU } from './device-types.ts';
import { describeNodes } from './node-groups.ts';
import { createCluster } from './topology.ts';
import { gigabitsPerSec } from './units.ts';
import type { WireSpeed, WiringKind } from './wiring.ts';
import { INTRA_NODE_LATENCY_US, nvlinkBytesPerSec, pcieSpeed } from './wiring.ts';

const PAPER = 'FlexFlow paper, section 8.1';

/** Nodes of a kind, joined by one switch that never blocks, as a fat tree without oversubscription. */
interface Preset {
  readonly type: string;
  readonly gpusPerNode: number;
  readonly wiring: WiringKind;
  /** Nodes that share an NVSwitch, where they do. */
  readonly nodesPerDomain?: number;
  /** Of one network adapter, each way. */
  readonly adapterGbps: number;
  readonly gpusPerAdapter: number;
  /** Of the network's numbers. */
  readonly source: string;
}

/** From a host to the network: half of a one-way trip through two InfiniBand adapters, a switch and their software. */
const NETWORK_LATENCY_US = 5;

const PRESETS: Readonly<Record<string, Preset>> = {
  p100: {
    type: 'P100',
    gpusPerNode: 4,
    wiring: 'nvlinkMesh',
    adapterGbps: 100,
    gpusPerAdapter: 4,
    source: `${PAPER}: 100 Gb/s EDR InfiniBand`,
  },
  k80: {
    type: 'K80',
    gpusPerNode: 4,
    wiring: 'pciePairs',
    adapterGbps: 56,
    gpusPerAdapter: 4,
    source: `${PAPER}: 56 Gb/s InfiniBand`,
  },
  v100: {
    type: 'V100',
    gpusPerNode: 8,
    wiring: 'nvlinkCubeMesh',
    adapterGbps: 100,
    gpusPerAdapter: 2,
    source: 'NVIDIA DGX-1 with V100 data sheet: 4 x 100 Gb/s EDR InfiniBand',
  },
  a100: {
    type: 'A100',
    gpusPerNode: 8,
    wiring: 'nvswitch',
    adapterGbps: 200,
    gpusPerAdapter: 1,
    source: 'NVIDIA DGX A100 data sheet: 8 x 200 Gb/s',
  },
  h100: {
    type: 'H100',
    gpusPerNode: 8,
    wiring: 'nvswitch',
    adapterGbps: 400,
    gpusPerAdapter: 1,
    source: 'NVIDIA DGX H100 data sheet: 8 x 400 Gb/s',
  },
  gb200: {
    type: 'GB200',
    gpusPerNode: 4,
    wiring: 'nvswitch',
    nodesPerDomain: 18,
    adapterGbps: 400,
    gpusPerAdapter: 1,
    source: 'NVIDIA DGX GB200 data sheet: 72 x 400 Gb/s for 72 GPUs',
  },
};

/** Most devices of a preset; a cluster file may have more. */
const MAX_PRESET_DEVICES = 4096;
const MAX_LOCAL_DEVICES = 64;

/**
 * A cluster by name: `p100xN`, `k80xN`, `v100xN`, `a100xN`, `h100xN` or `gb200xN` with N devices of one node or of whole nodes,
 * `local` or `localxN`.
 * @throws {RangeError} saying which names there are
 */
export function presetCluster(name: string): Cluster {
  const match = /^(local|[a-z]+[0-9]+)(?:x([0-9]+))?$/.exec(name);
  const [, family = '', digits] = match ?? [];
  const count = Number(digits ?? (family === 'local' ? 2 : Number.NaN));
  if (family === 'local' && count >= 1 && count <= MAX_LOCAL_DEVICES) return localCluster(count);
  const preset = Object.hasOwn(PRESETS, family) ? PRESETS[family] : undefined;
  if (preset === undefined || !isWholeNodes(count, preset)) throw new RangeError(unknownPreset(name));
  return gpuCluster(name, preset, count);
}

function isWholeNodes(count: number, { gpusPerNode }: Preset): boolean {
  return count >= 1 && count <= MAX_PRESET_DEVICES && (count < gpusPerNode || count % gpusPerNode === 0);
}

function unknownPreset(name: string): string {
  const names = Object.keys(PRESETS).map((family) => `${family}xN`);
  const sizes = Object.entries(PRESETS).map(([family, { gpusPerNode }]) => `${gpusPerNode} in ${family}`);
  return (
    `there is no cluster '${name}'; expected ${names.join(', ')} with N up to the devices of a node (${sizes.join(', ')}), ` +
    `or a multiple of them up to ${MAX_PRESET_DEVICES}; local or localxN with N up to ${MAX_LOCAL_DEVICES}; ` +
    'or the path of a cluster file'
  );
}

/**
 * Processes of this machine, one core each, that talk through memory that both map.
 * @param known what is known of the machine in place of the table's numbers and source
 */
export function localCluster(devices: number, known: Partial<LocalNumbers> = {}): Cluster {
  const { intraNodeBytesPerSec, messageLatencyUs, linkSource, ...device }: LocalNumbers = {
    ...LOCAL_CPU,
    messageLatencyUs: LOOPBACK_LATENCY_US,
    ...known,
  };
  const cores = Array.from({ length: devices }, (_, i) => ({ name: `local/cpu${i}`, ...device }));
  return machineCluster(cores, {
    bandwidthBytesPerSec: intraNodeBytesPerSec,
    latencyUs: messageLatencyUs,
    source: linkSource ?? device.source,
  });
}

/**
 * Processes of this machine, each with a device of it, that talk through memory that they all map.
 * @param message from one process to another
 */
export function machineCluster(
  devices: readonly Omit<Device, 'id' | 'node'>[],
  message: WireSpeed = LOCAL_MESSAGE,
): Cluster {
  const connections = devices.map(({ name }): Connection => ({
    ...message,
    between: [name, 'local/loopback'],
    latencyUs: message.latencyUs / 2,
  }));
  const placed = devices.map((device): Omit<Device, 'id'> => ({ node: 'local', ...device }));
  return createCluster({ name: `localx${devices.length}`, devices: placed, connections });
}

/** What is known of one core of this machine. */
export interface LocalNumbers extends DeviceType {
  /** From sending a small message to having received it, between two processes. */
  readonly messageLatencyUs: number;
  /** Of the numbers of messages, where it is not that of the others. */
  readonly linkSource?: string;
}

/**
 * A message between two Node processes amid training, from send to resumed receiver. Source: what `soapstone profile` fits for LeNet
 * and an MLP on two cores: 81 and 117 us; `npm run bench:local`, whose processes have nothing else to do: 33 to 60 us.
 */
const LOOPBACK_LATENCY_US = 100;

/** What a message between processes of a machine takes where nobody measured it. */
export const LOCAL_MESSAGE: WireSpeed = {
  bandwidthBytesPerSec: LOCAL_CPU.intraNodeBytesPerSec,
  latencyUs: LOOPBACK_LATENCY_US,
  source: LOCAL_CPU.source,
};

function gpuCluster(name: string, preset: Preset, count: number): Cluster {
  const { gpusPerNode, wiring: kind, nodesPerDomain = 1, adapterGbps, gpusPerAdapter } = preset;
  const { type, source, ...gpu } = GPU_TYPES.find((entry) => entry.type === preset.type)!;
  const { flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs, pcie } = gpu;
  const nvlink = nvlinkBytesPerSec(kind, gpu, gpusPerNode);
  const host = pcieSpeed(pcie);
  const device =
    nvlink === undefined ? host : { bandwidthBytesPerSec: nvlink, latencyUs: INTRA_NODE_LATENCY_US, source };
  const adapter = {
    bandwidthBytesPerSec: gigabitsPerSec(adapterGbps),
    latencyUs: NETWORK_LATENCY_US,
    source: preset.source,
  };
  const devicesPerNode = Math.min(gpusPerNode, count);
  const group = {
    count: count / devicesPerNode,
    devicesPerNode,
    device: { type, flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs, source },
    wiring: { kind, device, host, nodesPerDomain },
    network: { adapter, devicesPerAdapter: gpusPerAdapter },
  };
  return createCluster(describeNodes(name, [group]));
}
