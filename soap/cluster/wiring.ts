import type { Connection, Source } from './cluster.ts';
import { CUBE_MESH_LINKS } from './cube-mesh.ts';
import type { GpuType, PcieGeneration } from './device-types.ts';
import { gigabytesPerSec } from './units.ts';

/**
 * How the devices of a node are joined.
 *
 * With NVLink, and PCIe to the host: `nvlinkPairs`: a bridge between neighbours (0 and 1, 2 and 3 ...). `nvlinkMesh`: a cable
 * between every two. `nvlinkCubeMesh`: the eight devices of a DGX-1 with V100, each with four others. `nvswitch`: every device
 * to one switch, which devices of several nodes may share.
 *
 * PCIe alone: `pcieSwitch`: all below one switch. `pciePairs`: neighbours share a switch, all switches hang below one more.
 */
export type WiringKind = 'nvlinkPairs' | 'nvlinkMesh' | 'nvlinkCubeMesh' | 'nvswitch' | 'pcieSwitch' | 'pciePairs';

/** All of them. */
export const WIRING_KINDS: readonly WiringKind[] = [
  'nvlinkPairs',
  'nvlinkMesh',
  'nvlinkCubeMesh',
  'nvswitch',
  'pcieSwitch',
  'pciePairs',
];

/** The speed of a wire, each way. */
export interface WireSpeed {
  readonly bandwidthBytesPerSec: number;
  readonly latencyUs: number;
  readonly source: Source;
}

/** The inside of a node. */
export interface NodeWiring {
  readonly kind: WiringKind;
  /** Of the wire between two devices, or from a device to its switch; of one link for `nvlinkCubeMesh`. */
  readonly device: WireSpeed;
  /** From a device to its host or network adapter, where `device` is NVLink. */
  readonly host: WireSpeed;
  /** Nodes in a row whose devices share an NVSwitch; 1 where it is not said. */
  readonly nodesPerDomain?: number;
}

/** Peer-to-peer copy between GPUs of a node. Source: CUDA samples' p2pBandwidthLatencyTest prints about 2 us. */
export const INTRA_NODE_LATENCY_US = 2;

/**
 * GB/s that copies reach over 16 lanes, of the 15.75, 31.5 and 63 that the PCI Express Base Specifications 3.0, 4.0 and 5.0
 * leave after encoding. Sources: CUDA samples' bandwidthTest on a P100, 12.2 (mpicbg-scicomp/gearshifft#82); nvbandwidth on
 * an A100, 25 (NVIDIA/nvbandwidth#53); nvbandwidth on an H100, 52.8 (NVIDIA/nvbandwidth#24).
 */
const PCIE_GIGABYTES_PER_SEC = { 3: 12, 4: 25, 5: 52 } as const;

/** The speed of 16 lanes. */
export function pcieSpeed(generation: PcieGeneration): WireSpeed {
  return {
    bandwidthBytesPerSec: gigabytesPerSec(PCIE_GIGABYTES_PER_SEC[generation]),
    latencyUs: INTRA_NODE_LATENCY_US,
    source: `PCIe ${generation}.0 x16`,
  };
}

/** Whether the devices are joined by NVLink, and have PCIe beside it. */
export function isNvlink(kind: WiringKind): boolean {
  return kind !== 'pcieSwitch' && kind !== 'pciePairs';
}

/**
 * The rate of the wires of a kind among so many devices of a type, one direction: its NVLinks, shared out equally. Undefined
 * where it has too few or none.
 */
export function nvlinkBytesPerSec(
  kind: WiringKind,
  { nvlink }: Pick<GpuType, 'nvlink'>,
  devices: number,
): number | undefined {
  if (nvlink === undefined) return undefined;
  const { links, bytesPerSec } = nvlink;
  if (kind === 'nvlinkCubeMesh') return links >= 6 ? bytesPerSec : undefined;
  const shared = kind === 'nvlinkMesh' ? Math.floor(links / Math.max(1, devices - 1)) : links;
  return shared === 0 ? undefined : shared * bytesPerSec;
}

/** A node's inside, and the points where its network adapters are: in order, each for the same number of devices. */
export interface WiredNode {
  readonly connections: readonly Connection[];
  readonly adapters: readonly string[];
}

/**
 * Wires the devices of a node.
 *
 * With NVLink, each adapter is the point where its devices' PCIe wires end: the host where there is one adapter, else
 * `node/nic0` and so on, which stands for the adapter and the PCIe switch it shares with its devices (GPUDirect RDMA). With
 * `pciePairs` there may be an adapter at every pair's switch, else there is one at the host.
 * @param devicesPerAdapter a divisor of the number of devices, or more than that for one adapter
 * @param nvswitch the switch's name, where the kind is `nvswitch`
 */
export function wireNode(
  node: string,
  devices: readonly string[],
  wiring: NodeWiring,
  devicesPerAdapter: number,
  nvswitch: string,
): WiredNode {
  if (!isNvlink(wiring.kind)) return wirePcie(node, devices, wiring, devicesPerAdapter);
  const { connections, adapters } = wireHost(node, devices, wiring, devicesPerAdapter);
  return { connections: [...wireNvlink(devices, wiring, nvswitch), ...connections], adapters };
}

function wireNvlink(devices: readonly string[], { kind, device }: NodeWiring, nvswitch: string): Connection[] {
  switch (kind) {
    case 'nvlinkMesh':
      return devices.flatMap((a, i) => devices.slice(i + 1).map((b): Connection => ({ between: [a, b], ...device })));
    case 'nvlinkPairs':
      return chunks(devices, 2).flatMap(([a, b]) => (b === undefined ? [] : [{ between: [a!, b], ...device }]));
    case 'nvlinkCubeMesh':
      return CUBE_MESH_LINKS.filter(([, b]) => b < devices.length).map(([a, b, links]) => ({
        between: [devices[a]!, devices[b]!],
        ...device,
        bandwidthBytesPerSec: links * device.bandwidthBytesPerSec,
      }));
    default:
      return star(nvswitch, devices, device);
  }
}

/** PCIe beside NVLink. Where NVLink joins all devices, the host is only wired for its adapter. */
function wireHost(
  node: string,
  devices: readonly string[],
  { kind, host }: NodeWiring,
  devicesPerAdapter: number,
): WiredNode {
  const hostPoint = `${node}/host`;
  if (devicesPerAdapter >= devices.length) {
    return { connections: star(hostPoint, devices, host), adapters: [hostPoint] };
  }
  const groups = chunks(devices, devicesPerAdapter);
  const adapters = groups.map((_, i) => `${node}/nic${i}`);
  const joined = kind === 'nvlinkMesh' || kind === 'nvswitch';
  return {
    connections: [
      ...groups.flatMap((group, i) => star(adapters[i]!, group, host)),
      ...(joined ? [] : star(hostPoint, adapters, host)),
    ],
    adapters,
  };
}

function wirePcie(
  node: string,
  devices: readonly string[],
  { kind, device }: NodeWiring,
  devicesPerAdapter: number,
): WiredNode {
  const [host, root] = [`${node}/host`, `${node}/switch`];
  const trunk = star(host, [root], device);
  if (kind === 'pcieSwitch') return { connections: [...star(root, devices, device), ...trunk], adapters: [host] };
  const pairs = chunks(devices, 2);
  const switches = pairs.map((_, pair) => `${root}${pair}`);
  const tree = [...pairs.flatMap((pair, i) => star(switches[i]!, pair, device)), ...star(root, switches, device)];
  return devicesPerAdapter === 2 && devices.length > 2
    ? { connections: tree, adapters: switches }
    : { connections: [...tree, ...trunk], adapters: [host] };
}

/** How many connections {@link wireNode} makes, or a few more; asked before it is called with what a file says. */
export function connectionCount(kind: WiringKind, devices: number, adapters: number): number {
  const toHost = devices + (adapters > 1 ? adapters : 0);
  if (kind === 'nvlinkMesh') return toHost + (devices * (devices - 1)) / 2;
  return toHost + (kind === 'nvlinkCubeMesh' ? CUBE_MESH_LINKS.length : devices + 1);
}

function star(center: string, points: readonly string[], speed: WireSpeed): Connection[] {
  return points.map((point) => ({ between: [point, center], ...speed }));
}

function chunks(list: readonly string[], size: number): string[][] {
  return Array.from({ length: Math.ceil(list.length / size) }, (_, i) => list.slice(i * size, (i + 1) * size));
}
