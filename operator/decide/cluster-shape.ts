import { createHash } from 'node:crypto';
import type { ClusterDescription } from '../../soap/cluster/cluster.ts';

/**
 * A digest of what devices and links a cluster has, whatever their names are: clusters of one digest are as good as each other.
 */
export function clusterShape({ devices, connections }: ClusterDescription): string {
  const numbers = new Map<string, number>();
  const numberOf = (name: string): number => {
    const known = numbers.get(name) ?? numbers.size;
    numbers.set(name, known);
    return known;
  };
  const shape = {
    devices: devices.map(
      ({ name, node, type, flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs }) => [
        numberOf(`device ${name}`),
        numberOf(`node ${node}`),
        type,
        flopsPerSec,
        memoryBandwidthBytesPerSec,
        memoryBytes,
        taskOverheadUs,
      ],
    ),
    connections: connections.map(({ between, bandwidthBytesPerSec, latencyUs }) => [
      ...between.map((point) => numberOf(`device ${point}`)),
      bandwidthBytesPerSec,
      latencyUs,
    ]),
  };
  return digest(shape);
}

/** A digest of a cluster's devices and links with their names. */
export function clusterDigest({ devices, connections }: ClusterDescription): string {
  return digest({ devices, connections });
}

/** Half of SHA-256 is more than enough to tell clusters apart, and fits a line. */
function digest(value: unknown): string {
  return createHash('sha256').update(JSON.stringify(value)).digest('hex').slice(0, 32);
}
