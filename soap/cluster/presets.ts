import type { Cluster, Connection, Device } from './cluster.ts';
import type { DeviceType } from './device-types.ts';
import { GPU_TYPES, LOCAL_CPU } from './device-types.ts';
import { createCluster } from './topology.ts';
import { gigabitsPerSec, gigabytesPerSec } from './units.ts';

const PAPER = 'FlexFlow paper, section 8.1';

interface Preset {
  readonly type: string;
  readonly gpusPerNode: number;
  /** Network per node, each way. */
  readonly network: { readonly bandwidthBytesPerSec: number; readonly source: string };
  readonly wiring: 'nvlinkMesh' | 'nvswitch' | 'pcieTree';
}

/** A one-way trip through an InfiniBand adapter and a switch: about 1 us each, doubled for the software. */
const NETWORK_LATENCY_US = 5;
/** Peer-to-peer copy between GPUs of a node. */
const INTRA_NODE_LATENCY_US = 2;

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
    network: { bandwidthBytesPerSec: gigabitsPerSec(56), source: `${PAPER}: 56 Gb/s EDR InfiniBand` },
    wiring: 'pcieTree',
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
  const match = /^([a-z]+[0-9]*?)(?:x([0-9]+))?$/.exec(name);
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

/** Processes of this machine, one core each, that talk over the loopback interface. */
export function localCluster(devices: number): Cluster {
  const connections = Array.from({ length: devices }, (_, i): Connection => ({
    between: [`local/cpu${i}`, 'local/loopback'],
    bandwidthBytesPerSec: LOCAL_CPU.intraNodeBytesPerSec,
    latencyUs: LOOPBACK_LATENCY_US / 2,
    source: LOCAL_CPU.source,
  }));
  const cpus = Array.from({ length: devices }, (_, i) => deviceOf(LOCAL_CPU, 'local', `cpu${i}`));
  return createCluster({ name: `localx${devices}`, devices: cpus, connections });
}

/** A message between two Node processes, from send to resumed receiver. Source: as LOCAL_CPU. */
const LOOPBACK_LATENCY_US = 100;

function gpuCluster(name: string, preset: Preset, count: number): Cluster {
  const type = GPU_TYPES.find((entry) => entry.type === preset.type)!;
  const perNode = Math.min(preset.gpusPerNode, count);
  const devices: Omit<Device, 'id'>[] = [];
  const connections: Connection[] = [];
  for (let node = 0; node < count / perNode; node++) {
    const host = `node${node}`;
    for (let gpu = 0; gpu < perNode; gpu++) devices.push(deviceOf(type, host, `gpu${gpu}`));
    connections.push(...nodeWiring(preset.wiring, type, host, perNode));
    connections.push({ between: [`${host}/host`, 'network'], latencyUs: NETWORK_LATENCY_US, ...preset.network });
  }
  return createCluster({ name, devices, connections });
}

/** PCIe 3.0 x16, after encoding. Source: PCI Express Base Specification 3.0: 15.75 GB/s, of which copies reach 12. */
const PCIE = { bandwidthBytesPerSec: gigabytesPerSec(12), latencyUs: INTRA_NODE_LATENCY_US, source: 'PCIe 3.0 x16' };

function nodeWiring(wiring: Preset['wiring'], type: DeviceType, host: string, gpus: number): Connection[] {
  const nvlink = {
    bandwidthBytesPerSec: type.intraNodeBytesPerSec,
    latencyUs: INTRA_NODE_LATENCY_US,
    source: type.source,
  };
  const gpu = (i: number): string => `${host}/gpu${i}`;
  const each = (make: (i: number) => Connection): Connection[] => Array.from({ length: gpus }, (_, i) => make(i));
  switch (wiring) {
    case 'nvlinkMesh': {
      const pairs = each((i) => ({ between: [gpu(i), `${host}/host`], ...PCIE }));
      for (let a = 0; a < gpus; a++)
        for (let b = a + 1; b < gpus; b++) pairs.push({ between: [gpu(a), gpu(b)], ...nvlink });
      return pairs;
    }
    case 'nvswitch':
      return [
        ...each((i) => ({ between: [gpu(i), `${host}/nvswitch`], ...nvlink })),
        ...each((i) => ({ between: [gpu(i), `${host}/host`], ...PCIE })),
      ];
    case 'pcieTree': {
      const switches = Math.ceil(gpus / 2);
      const up = Array.from({ length: switches }, (_, s): Connection => ({
        between: [`${host}/switch${s}`, `${host}/host`],
        ...PCIE,
      }));
      return [...each((i) => ({ between: [gpu(i), `${host}/switch${Math.floor(i / 2)}`], ...PCIE })), ...up];
    }
  }
}

function deviceOf(type: DeviceType, node: string, device: string): Omit<Device, 'id'> {
  const { flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs, source } = type;
  return {
    name: `${node}/${device}`,
    node,
    type: type.type,
    flopsPerSec,
    memoryBandwidthBytesPerSec,
    memoryBytes,
    taskOverheadUs,
    source,
  };
}

function isPowerOfTwo(value: number): boolean {
  return Number.isInteger(value) && value >= 1 && Number.isInteger(Math.log2(value));
}
