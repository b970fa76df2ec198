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
