import type { Cluster } from './cluster.ts';
import type { PointGraph } from './points.ts';
import { pointGraph } from './points.ts';

/** Most levels that are told apart; real clusters have two to four. */
const MAX_LEVELS = 16;

/**
 * The devices of a cluster in nested groups: levels from finest to coarsest, such as the pairs below a PCIe switch, nodes,
 * leaves, the whole cluster. Each level is a partition of the device ids, groups and ids ascending; the next level joins some
 * of its groups, and the last has one group.
 *
 * Two devices are in one group of a level when a chain of devices joins them whose routes each have at most so many hops
 * (single linkage); every number of hops that joins anything is a level. Time and memory grow as the connections do: the
 * shortest routes that matter run where the surroundings of two devices meet. Source: Mehlhorn, "A faster approximation
 * algorithm for the Steiner problem in graphs", 1988, whose lemma says so of the minimum spanning tree over the devices.
 */
export function localityGroups(cluster: Cluster): readonly (readonly (readonly number[])[])[] {
  const graph = pointGraph(cluster.description);
  const whole = cluster.devices.map(({ id }) => id);
  const groupOf = Int32Array.from(whole);
  const levels: number[][][] = [];
  let groups = graph.deviceCount;
  for (const bridges of bridgesByHops(graph)) {
    const before = groups;
    for (const [a, b] of bridges) if (join(groupOf, a, b)) groups -= 1;
    if (groups === 1 || levels.length === MAX_LEVELS - 1) break;
    if (groups < before) levels.push(membersOf(groupOf));
  }
  return [...levels, [whole]];
}

/** Pairs of devices whose surroundings meet at a connection, by the hops between them. */
function bridgesByHops({ deviceCount, pointCount, firstOutgoing, outgoing, linkTo }: PointGraph): [number, number][][] {
  const nearest = new Int32Array(pointCount).fill(-1);
  const hops = new Int32Array(pointCount);
  const reached = Array.from({ length: deviceCount }, (_, device) => device);
  for (const device of reached) nearest[device] = device;
  for (const point of reached) {
    for (let i = firstOutgoing[point]!; i < firstOutgoing[point + 1]!; i++) {
      const next = linkTo[outgoing[i]!]!;
      if (nearest[next] !== -1) continue;
      nearest[next] = nearest[point]!;
      hops[next] = hops[point]! + 1;
      reached.push(next);
    }
  }
  const bridges: [number, number][][] = [];
  for (let link = 0; link < linkTo.length; link += 2) {
    const [to, from] = [linkTo[link]!, linkTo[link + 1]!];
    if (nearest[from] === nearest[to]) continue;
    (bridges[hops[from]! + 1 + hops[to]!] ??= []).push([nearest[from]!, nearest[to]!]);
  }
  return bridges.filter((each) => each !== undefined);
}

/** Joins the groups of two devices; false where they were one already. */
function join(groupOf: Int32Array, a: number, b: number): boolean {
  const [first, second] = [rootOf(groupOf, a), rootOf(groupOf, b)];
  groupOf[Math.max(first, second)] = Math.min(first, second);
  return first !== second;
}

/** The first device of a device's group; halves the way there. */
function rootOf(groupOf: Int32Array, device: number): number {
  let at = device;
  while (groupOf[at] !== at) at = groupOf[at] = groupOf[groupOf[at]!]!;
  return at;
}

function membersOf(groupOf: Int32Array): number[][] {
  const devices = Array.from(groupOf, (_, device) => device);
  return [...Map.groupBy(devices, (device) => rootOf(groupOf, device)).values()];
}
