import type { Cluster } from '../cluster/cluster.ts';

const US_PER_SEC = 1e6;

/** Microseconds that bytes take to get into a link. */
export function linkUs(cluster: Cluster, link: number, bytes: number): number {
  return bytes * (US_PER_SEC / cluster.links[link]!.bandwidthBytesPerSec);
}

/** Microseconds a transfer takes where nothing else is on its way: all latencies plus bytes over the smallest bandwidth. */
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
