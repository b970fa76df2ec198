import type { Cluster } from '../../soap/cluster/cluster.ts';

/** Classes that are told apart; clusters have two to four. */
const MAX_CLASSES = 8;

/** What is left over beyond {@link MAX_CLASSES}. */
const OTHER = 'other';

/**
 * Names the class of the way between two devices: whether it stays within a node, and the bandwidth of its narrowest link, such
 * as `node 20 GB/s` and `network 12.5 GB/s`. Bytes by class can be held against what a class can carry.
 * @param cluster the one of the plan; bandwidths are payload bytes per second in one direction
 */
export function pathClasses(cluster: Cluster): (from: number, to: number) => string {
  const known = new Set<string>();
  const nameOf = (from: number, to: number): string => {
    const { devices } = cluster;
    const where = devices[from]!.node === devices[to]!.node ? 'node' : 'network';
    const gigabytes = cluster.path(from, to).bandwidthBytesPerSec / 1e9;
    return `${where} ${Number(gigabytes.toPrecision(3))} GB/s`;
  };
  return (from, to) => {
    const name = nameOf(from, to);
    if (!known.has(name) && known.size === MAX_CLASSES) return OTHER;
    known.add(name);
    return name;
  };
}
