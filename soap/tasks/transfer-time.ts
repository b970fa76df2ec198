import type { Cluster } from '../cluster/cluster.ts';

const US_PER_SEC = 1e6;

/** Microseconds that bytes take to get into a link. */
export function linkUs(cluster: Cluster, link: number, bytes: number): number {
  return bytes * (US_PER_SEC / cluster.links[link]!.bandwidthBytesPerSec);
}

/** Microseconds a transfer takes where nothing else is on its way: all latencies plus bytes over the smallest bandwidth. */
export function transferUs(cluster: Cluster, fromDevice: number, toDevice: number, bytes: number): number {
  const { latencyUs, bandwidthBytesPerSec } = cluster.path(fromDevice, toDevice);
  return latencyUs + (bytes / bandwidthBytesPerSec) * US_PER_SEC;
}
