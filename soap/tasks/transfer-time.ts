import type { Cluster } from '../cluster/cluster.ts';

const US_PER_SEC = 1e6;

/** Microseconds a transfer holds its route: the latencies on the way plus bytes over the smallest bandwidth. */
export function transferUs(cluster: Cluster, fromDevice: number, toDevice: number, bytes: number): number {
  let latencyUs = 0;
  let bandwidth = Infinity;
  for (const id of cluster.route(fromDevice, toDevice)) {
    const link = cluster.links[id]!;
    latencyUs += link.latencyUs;
    bandwidth = Math.min(bandwidth, link.bandwidthBytesPerSec);
  }
  return latencyUs + (bytes / bandwidth) * US_PER_SEC;
}

/** A ring's time and the links it holds, ascending. */
export interface RingTime {
  readonly durationUs: number;
  readonly links: readonly number[];
}

/**
 * A ring all-reduce of k devices: k - 1 rounds of reduce-scatter and as many of all-gather, each sending one k-th of the
 * bytes from every device to the next. Hops that share a link share its bandwidth; a round lasts as long as its slowest hop.
 * Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.
 */
export function ringAllReduceTime(cluster: Cluster, devices: readonly number[], bytes: number): RingTime {
  const hopsPerLink = new Map<number, number>();
  const routes = devices.map((device, i) => cluster.route(device, devices[(i + 1) % devices.length]!));
  for (const link of routes.flat()) hopsPerLink.set(link, (hopsPerLink.get(link) ?? 0) + 1);
  const chunkBytes = bytes / devices.length;
  let roundUs = 0;
  for (const route of routes) {
    let latencyUs = 0;
    let bandwidth = Infinity;
    for (const id of route) {
      const link = cluster.links[id]!;
      latencyUs += link.latencyUs;
      bandwidth = Math.min(bandwidth, link.bandwidthBytesPerSec / hopsPerLink.get(id)!);
    }
    roundUs = Math.max(roundUs, latencyUs + (chunkBytes / bandwidth) * US_PER_SEC);
  }
  return { durationUs: 2 * (devices.length - 1) * roundUs, links: [...hopsPerLink.keys()].sort((a, b) => a - b) };
}
