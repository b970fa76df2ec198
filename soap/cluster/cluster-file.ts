import type { Problem } from '../schema/check.ts';
import { createChecker, FileError } from '../schema/check.ts';
import type { Cluster, ClusterDescription } from './cluster.ts';
import { CLUSTER_SCHEMA } from './cluster-schema.ts';
import { createCluster } from './topology.ts';

const checker = createChecker<ClusterDescription>(CLUSTER_SCHEMA);

/**
 * Builds a cluster from the content of a cluster file.
 * @throws {FileError} with all problems
 */
export function parseCluster(value: unknown, source: string = 'the cluster file'): Cluster {
  if (!checker.is(value)) throw new FileError(source, checker.problems(value));
  const problems = semanticProblems(value);
  if (problems.length > 0) throw new FileError(source, problems);
  return createCluster(value);
}

function semanticProblems({ devices, connections }: ClusterDescription): Problem[] {
  const problems: Problem[] = [];
  const seen = new Set<string>();
  devices.forEach(({ name }, i) => {
    if (seen.has(name))
      problems.push({ path: `devices.${i}.name`, message: `is '${name}' again; expected unique names` });
    seen.add(name);
  });
  const connected = new Set(connections.flatMap(({ between }) => between));
  devices.forEach(({ name }, i) => {
    if (devices.length > 1 && !connected.has(name)) {
      problems.push({ path: `devices.${i}`, message: `'${name}' is in no connection; expected a way to the others` });
    }
  });
  return problems;
}
