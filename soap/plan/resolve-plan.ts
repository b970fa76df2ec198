import { descriptionProblems } from '../cluster/cluster-file.ts';
import type { Cluster } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/topology.ts';
import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Problem } from '../schema/check.ts';
import { FileError } from '../schema/check.ts';
import { clusterDifferences, few, modelDifferences } from './plan-differences.ts';
import type { Plan, PlannedOp } from './plan.ts';
import type { OpConfig, Strategy } from '../strategy/strategy.ts';
import { validateStrategy } from '../strategy/validate.ts';

/** A plan made fit to run: its cluster, and its strategy by ids. */
export interface ResolvedPlan {
  readonly cluster: Cluster;
  readonly strategy: Strategy;
}

/**
 * Matches a plan with a model, and with the cluster at hand where one is given: it must have the same devices and wires,
 * while their numbers may have been measured anew; the result is then that cluster.
 * @throws {FileError} naming the differences, where the plan is for another model or cluster or does not fit
 */
export function resolvePlan(plan: Plan, graph: Graph, source: string = 'the plan', target?: Cluster): ResolvedPlan {
  const differences = modelDifferences(plan, graph);
  if (differences.length > 0) throw new FileError(`${source} is for another model: it`, differences);
  const elsewhere = target === undefined ? [] : clusterDifferences(plan.cluster, target.description);
  if (elsewhere.length > 0) throw new FileError(`${source} is for another cluster: it`, elsewhere);
  const misfits = descriptionProblems(plan.cluster).map(({ path, message }) => ({ path: `cluster.${path}`, message }));
  if (misfits.length > 0) throw new FileError(source, misfits);
  const cluster = target ?? createCluster(plan.cluster);
  const deviceIds = new Map(cluster.devices.map(({ name, id }) => [name, id]));
  const problems: Problem[] = [];
  const configs = graph.ops.map((op) => resolveOp(graph, op.id, plan.ops[op.name]!, deviceIds, problems));
  const strategy = { configs };
  if (problems.length === 0) {
    const misplaced = validateStrategy(graph, cluster.devices.length, strategy);
    problems.push(...misplaced.map((message) => ({ path: 'ops', message })));
  }
  if (problems.length > 0) throw new FileError(source, problems);
  return { cluster, strategy };
}

function resolveOp(
  graph: Graph,
  op: number,
  planned: PlannedOp,
  deviceIds: ReadonlyMap<string, number>,
  problems: Problem[],
): OpConfig {
  const { name } = graph.ops[op]!;
  const dimensions = opDimensions(graph, graph.ops[op]!);
  const known = dimensions.map((dimension) => dimension.name);
  for (const dimension of Object.keys(planned.degrees)) {
    if (known.includes(dimension)) continue;
    problems.push({ path: `ops.${name}.degrees`, message: `has '${dimension}'; expected ${known.join(', ')}` });
  }
  const unknown = new Set(planned.devices.filter((device) => !deviceIds.has(device)));
  if (unknown.size > 0) {
    const message = `has ${few([...unknown])}, which the cluster has not; expected names of its devices`;
    problems.push({ path: `ops.${name}.devices`, message });
  }
  return {
    degrees: known.map((dimension) => planned.degrees[dimension] ?? 1),
    devices: planned.devices.map((device) => deviceIds.get(device) ?? -1),
  };
}
