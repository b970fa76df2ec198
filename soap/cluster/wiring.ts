import type { Connection, Source } from './cluster.ts';
import { gigabytesPerSec } from './units.ts';

/**
 * How the devices of a node are joined. `nvlinkMesh`: a cable between every two. `nvswitch`: every device to one switch.
 * Both also have PCIe to the host. `pcieSwitch`: all below one PCIe switch. `pciePairs`: neighbours share a PCIe switch, all
 * switches hang below one more.
 */
export type WiringKind = 'nvlinkMesh' | 'nvswitch' | 'pcieSwitch' | 'pciePairs';

/** The speed of a wire, each way. */
export interface WireSpeed {
  readonly bandwidthBytesPerSec: number;
  readonly latencyUs: number;
  readonly source: Source;
}

/** The inside of a node. */
export interface Wiring {
  readonly kind: WiringKind;
  /** NVLink, or PCIe where there is none. */
  readonly device: WireSpeed;
  /** From a device to the host where `device` is NVLink. */
  readonly host: WireSpeed;
}

/** Peer-to-peer copy between GPUs of a node. Source: CUDA samples' p2pBandwidthLatencyTest prints about 2 us. */
export const INTRA_NODE_LATENCY_US = 2;

/** PCIe 3.0 x16. Source: PCI Express Base Specification 3.0: 15.75 GB/s after encoding, of which copies reach about 12. */
export const PCIE: WireSpeed = {
  bandwidthBytesPerSec: gigabytesPerSec(12),
  latencyUs: INTRA_NODE_LATENCY_US,
  source: 'PCIe 3.0 x16',
};

/** Name of the point of a node where its network adapter is. */
export function hostPoint(node: string): string {
  return `${node}/host`;
}

/** The connections inside a node whose devices have these names. */
export function wireNode(node: string, devices: readonly string[], { kind, device, host }: Wiring): Connection[] {
  const star = (center: string, points: readonly string[], speed: WireSpeed): Connection[] =>
    points.map((point) => ({ between: [point, center], ...speed }));
  switch (kind) {
    case 'nvlinkMesh':
      return [...star(hostPoint(node), devices, host), ...mesh(devices, device)];
    case 'nvswitch':
      return [...star(`${node}/nvswitch`, devices, device), ...star(hostPoint(node), devices, host)];
    case 'pcieSwitch':
      return [...star(`${node}/switch`, devices, device), ...star(hostPoint(node), [`${node}/switch`], device)];
    case 'pciePairs': {
      const pairs = Array.from({ length: Math.ceil(devices.length / 2) }, (_, pair) => `${node}/switch${pair}`);
      return [
        ...pairs.flatMap((pair, i) => star(pair, devices.slice(2 * i, 2 * i + 2), device)),
        ...star(`${node}/switch`, pairs, device),
        ...star(hostPoint(node), [`${node}/switch`], device),
      ];
    }
  }
}

/** How many connections {@link wireNode} makes, or a few more; asked before it is called with what a file says. */
export function connectionCount(kind: WiringKind, devices: number): number {
  return kind === 'nvlinkMesh' ? devices + (devices * (devices - 1)) / 2 : 2 * devices + 2;
}

function mesh(devices: readonly string[], speed: WireSpeed): Connection[] {
  return devices.flatMap((a, i) => devices.slice(i + 1).map((b): Connection => ({ between: [a, b], ...speed })));
}
