import type { Cluster } from '../cluster/cluster.ts';
import type { Dimension } from '../ops/op.ts';
import { greatestCommonDivisor, largestDivisor } from '../region/divisors.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import { gridConfig } from './configs.ts';
import { devicesByNode } from './nodes.ts';

/** Devices in groups of equal size; a group has one replica of the model, split over it. */
export type Groups = readonly (readonly number[])[];

/** Groups as large as the size of every node and all the given numbers (heads, say) allow, each inside a node. */
export function tensorGroups(cluster: Cluster, multiples: readonly number[]): Groups {
  const nodes = devicesByNode(cluster);
  const size = [...nodes.map(({ length }) => length), ...multiples].reduce(greatestCommonDivisor);
  return nodes.flatMap((devices) =>
    Array.from({ length: devices.length / size }, (_, group) => devices.slice(group * size, (group + 1) * size)),
  );
}

/** A mesh of devices: samples go over the groups, and something else of each op over the devices of a group. */
export interface Mesh {
  readonly groups: Groups;
  /** Parts in a row that the samples of a group are cut into. */
  readonly microbatches: number;
}

/** How an op is cut inside a group: along the dimension of this index, by the group's size. */
export type InnerCut = number | 'sample' | 'none';

/** The first of the named dimensions that can be cut over a group; `sample` cuts the group's samples once more. */
export function innerCut(dimensions: readonly Dimension[], names: readonly string[], mesh: Mesh): InnerCut {
  const size = mesh.groups[0]!.length;
  for (const name of names) {
    const index = dimensions.findIndex((dimension) => dimension.name === name);
    if (index < 0) continue;
    if (dimensions[index]!.kind !== 'sample') {
      if (dimensions[index]!.size % size === 0) return index;
    } else if (dimensions[index]!.size % (sampleDegree(dimensions[index]!.size, mesh) * size) === 0) {
      return 'sample';
    }
  }
  return 'none';
}

/** An op on a mesh. Without an inner cut it is on the first device of each group. */
export function meshConfig(dimensions: readonly Dimension[], cut: InnerCut, mesh: Mesh): OpConfig {
  const { groups } = mesh;
  const size = groups[0]!.length;
  const sample = dimensions.findIndex(({ kind }) => kind === 'sample');
  const outer = sample < 0 ? 1 : sampleDegree(dimensions[sample]!.size, mesh);
  const perGroup = Math.max(1, outer / groups.length);
  const degrees = dimensions.map((_, i) => {
    if (i === sample) return cut === 'sample' ? outer * size : outer;
    return i === cut ? size : 1;
  });
  return gridConfig(degrees, (index) => {
    const at = sample < 0 ? 0 : index[sample]!;
    if (cut === 'sample') return groups[Math.floor(at / size / perGroup)]![at % size]!;
    return groups[Math.floor(at / perGroup)]![typeof cut === 'number' ? index[cut]! : 0]!;
  });
}

/** Every group's samples in microbatches; where that does not divide them, over as many groups as it can be. */
function sampleDegree(size: number, { groups, microbatches }: Mesh): number {
  const all = groups.length * microbatches;
  return size % all === 0 ? all : largestDivisor(size, groups.length);
}
