import type { CollectiveAlgorithm } from './task-graph.ts';
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

/** How an all-reduce is done, how long it takes, and the links it holds, ascending. */
export interface CollectiveTime {
  readonly algorithm: CollectiveAlgorithm;
  readonly durationUs: number;
  readonly links: readonly number[];
}

/** The faster way to sum a tensor over devices. */
export function allReduceTime(cluster: Cluster, devices: readonly number[], bytes: number): CollectiveTime {
  const ring = ringTime(cluster, devices, bytes);
  const exchange = exchangeTime(cluster, devices, bytes);
  return exchange.durationUs < ring.durationUs ? exchange : ring;
}

/**
 * A ring all-reduce of k devices: k - 1 rounds of reduce-scatter and as many of all-gather, each sending one k-th of the
 * bytes from every device to the next. Hops that share a link share its bandwidth; a round lasts as long as its slowest hop.
 * Source: Patarasuk and Yuan, "Bandwidth optimal all-reduce algorithms for clusters of workstations", 2009.
 */
function ringTime(cluster: Cluster, devices: readonly number[], bytes: number): CollectiveTime {
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
  return { algorithm: 'ring', durationUs: 2 * (devices.length - 1) * roundUs, links: ascending(hopsPerLink.keys()) };
}

/** Every pair of devices exchanges the whole tensor at once; the time is that of the most loaded link. */
function exchangeTime(cluster: Cluster, devices: readonly number[], bytes: number): CollectiveTime {
  const messages = new Map<number, number>();
  let latencyUs = 0;
  for (const from of devices) {
    for (const to of devices) {
      const route = cluster.route(from, to);
      latencyUs = Math.max(
        latencyUs,
        route.reduce((sum, link) => sum + cluster.links[link]!.latencyUs, 0),
      );
      for (const link of route) messages.set(link, (messages.get(link) ?? 0) + 1);
    }
  }
  let busiestUs = 0;
  for (const [link, count] of messages) {
    busiestUs = Math.max(busiestUs, ((count * bytes) / cluster.links[link]!.bandwidthBytesPerSec) * US_PER_SEC);
  }
  return { algorithm: 'exchange', durationUs: latencyUs + busiestUs, links: ascending(messages.keys()) };
}

function ascending(values: Iterable<number>): number[] {
  return [...values].sort((a, b) => a - b);
}
