import * as fc from 'fast-check';
import type { ClusterDescription, Connection, Device } from '../../soap/cluster/cluster.ts';

/** A device of which only the name matters. */
export const device = (name: string): Omit<Device, 'id'> => ({
  name,
  node: 'n',
  type: 'own',
  flopsPerSec: 1e12,
  memoryBandwidthBytesPerSec: 1e11,
  memoryBytes: 1e9,
  taskOverheadUs: 1,
  source: 'test',
});

/** A connection with a latency of 1 us. */
export const wire = (a: string, b: string, bandwidthBytesPerSec: number): Connection => ({
  between: [a, b],
  bandwidthBytesPerSec,
  latencyUs: 1,
  source: 'test',
});

/**
 * Few devices among switches, joined at random and sparsely, so that there are ways of many hops and islands: several wires
 * between two points, narrow and wide.
 */
export const anyCluster: fc.Arbitrary<ClusterDescription> = fc
  .record({ devices: fc.integer({ min: 1, max: 5 }), switches: fc.integer({ min: 0, max: 14 }) })
  .chain(({ devices, switches }) => {
    const points = [
      ...Array.from({ length: devices }, (_, i) => `d${i}`),
      ...Array.from({ length: switches }, (_, i) => `s${i}`),
    ];
    const end = fc.nat({ max: points.length - 1 });
    const wires = fc
      .array(fc.tuple(end, end, fc.integer({ min: 1, max: 3 })), {
        minLength: points.length,
        maxLength: 2 * points.length + 4,
      })
      .map((all) => all.filter(([a, b]) => a !== b).map(([a, b, width]) => wire(points[a]!, points[b]!, width)));
    return wires.map((connections) => ({ name: 'c', devices: points.slice(0, devices).map(device), connections }));
  });
