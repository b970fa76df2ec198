import type { Problem } from '../schema/check.ts';
import { createChecker, FileError } from '../schema/check.ts';
import type { Cluster, ClusterDescription } from './cluster.ts';
import { CLUSTER_SCHEMA } from './cluster-schema.ts';
import { expandNodeFile, isNodeFile } from './node-file.ts';
import { createCluster } from './topology.ts';

const checker = createChecker<ClusterDescription>(CLUSTER_SCHEMA);

/**
 * Builds a cluster from the content of a cluster file: every device and connection (see {@link ClusterDescription}), or the
 * short form with `nodes` (see node-file.ts).
 * @throws {FileError} with all problems
 */
export function parseCluster(value: unknown, source: string = 'the cluster file'): Cluster {
  if (isNodeFile(value)) return createCluster(expandNodeFile(value, source));
  if (!checker.is(value)) throw new FileError(source, checker.problems(value));
  const problems = descriptionProblems(value);
  if (problems.length > 0) throw new FileError(source, problems);
  return createCluster(value);
}

/** What is wrong with a description beyond the form of its fields: names, and devices that do not reach each other. */
export function descriptionProblems(description: ClusterDescription): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  description.devices.forEach(({ name }, i) => {
    if (seen.has(name))
      problems.push({ path: `devices[${i}].name`, message: `is '${name}' again; expected unique names: rename it` });
    seen.add(name);
  });
  description.connections.forEach(({ between: [a, b] }, i) => {
    if (a === b)
      problems.push({ path: `connections[${i}].between`, message: `joins '${a}' with itself; expected two points` });
  });
  return problems.length > 0 ? problems : separations(description);
}

/** Most separated pairs that are listed; one cut wire separates many. */
const MAX_SEPARATIONS = 8;

/** Pairs of devices without a way between them. Data passes through no device, so reaching is not transitive. */
function separations({ devices, connections }: ClusterDescription): Problem[] {
  const neighbours = neighboursOf(connections);
  const islands = islandsOf(neighbours, new Set(devices.map(({ name }) => name)));
  const touched = devices.map(({ name }) => islandsAt(name, neighbours, islands));
  // The usual cluster hangs together through one island of hosts and switches; only others are looked at pair by pair.
  if ([...touched[0]!].some((island) => touched.every((reach) => reach.has(island)))) return [];
  const problems: Problem[] = [];
  for (let a = 0; a < devices.length; a++) {
    for (let b = a + 1; b < devices.length; b++) {
      const [from, to] = [devices[a]!.name, devices[b]!.name];
      if (neighbours.get(from)?.has(to) === true || [...touched[a]!].some((island) => touched[b]!.has(island)))
        continue;
      const message = `'${from}' has no way to '${to}' that passes no other device: connect them`;
      problems.push({ path: `devices[${a}]`, message });
      if (problems.length === MAX_SEPARATIONS) return problems;
    }
  }
  return problems;
}

function islandsAt(
  name: string,
  neighbours: ReadonlyMap<string, ReadonlySet<string>>,
  islands: ReadonlyMap<string, number>,
): Set<number> {
  return new Set([...(neighbours.get(name) ?? [])].flatMap((point) => islands.get(point) ?? []));
}

function neighboursOf(connections: ClusterDescription['connections']): Map<string, Set<string>> {
  const neighbours = new Map<string, Set<string>>();
  const add = (from: string, to: string): void => {
    const known = neighbours.get(from);
    if (known === undefined) neighbours.set(from, new Set([to]));
    else known.add(to);
  };
  for (const {
    between: [a, b],
  } of connections) {
    add(a, b);
    add(b, a);
  }
  return neighbours;
}

/** Numbers the connected groups of points that are not devices. */
function islandsOf(
  neighbours: ReadonlyMap<string, ReadonlySet<string>>,
  devices: ReadonlySet<string>,
): Map<string, number> {
  const islands = new Map<string, number>();
  let island = 0;
  for (const point of neighbours.keys()) {
    if (devices.has(point) || islands.has(point)) continue;
    const members = [point];
    islands.set(point, island);
    for (const member of members) {
      for (const next of neighbours.get(member)!) {
        if (devices.has(next) || islands.has(next)) continue;
        islands.set(next, island);
        members.push(next);
      }
    }
    island += 1;
  }
  return islands;
}
