import { descriptionProblems } from '../cluster/cluster-file.ts';
import type { Cluster, ClusterDescription } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/topology.ts';
import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Problem } from '../schema/check.ts';
import { createChecker, FileError } from '../schema/check.ts';
import { graphFingerprint } from './fingerprint.ts';
import { PLAN_SCHEMA, PLAN_VERSION } from './plan-schema.ts';
import type { OpConfig, Strategy } from './strategy.ts';
import { validateStrategy } from './validate.ts';

/** Costs of one strategy, as the simulator predicts them. */
export interface PlanPrediction {
  readonly iterationMs: number;
  readonly samplesPerSecond: number;
  readonly transferredBytes: number;
  readonly computeMs: number;
  readonly peakMemoryBytes: number;
  readonly feasible: boolean;
  /** What the devices would need beyond what they have, in all; absent in older files. */
  readonly missingMemoryBytes?: number;
}

/** One op's split, by names: degrees above 1, and the device of each part. */
interface PlannedOp {
  readonly degrees: Readonly<Record<string, number>>;
  readonly devices: readonly string[];
}

/** A plan: everything that is needed to run it, to predict it again, and to search it again. */
export interface Plan {
  readonly version: typeof PLAN_VERSION;
  readonly model: { readonly name: string; readonly fingerprint: string; readonly batch: number };
  readonly cluster: ClusterDescription;
  /** By op name. */
  readonly ops: Readonly<Record<string, PlannedOp>>;
  readonly prediction: PlanPrediction;
  readonly baselines: Readonly<Record<string, PlanPrediction>>;
  /** The strategy's origin: `search`, or the baseline that was asked for. */
  readonly origin: string;
  /** Absent where nothing was searched. */
  readonly search?: Readonly<Record<string, number | string | readonly string[]>>;
}

/** The parts of a plan beside its strategy. */
export type PlanContext = Pick<Plan, 'prediction' | 'baselines' | 'origin' | 'search'>;

const checker = createChecker<Plan>(PLAN_SCHEMA);

/** Writes a strategy down by names. */
export function createPlan(
  graph: Graph,
  cluster: Cluster,
  strategy: Strategy,
  batch: number,
  context: PlanContext,
): Plan {
  const ops = graph.ops.map((op): [string, PlannedOp] => {
    const { degrees, devices } = strategy.configs[op.id]!;
    const named = opDimensions(graph, op).flatMap(({ name }, i): [string, number][] =>
      degrees[i] === 1 ? [] : [[name, degrees[i]!]],
    );
    return [op.name, { degrees: Object.fromEntries(named), devices: devices.map((id) => cluster.devices[id]!.name) }];
  });
  return {
    version: PLAN_VERSION,
    model: { name: graph.name, fingerprint: graphFingerprint(graph), batch },
    cluster: cluster.description,
    ops: Object.fromEntries(ops),
    ...context,
  };
}

/** The text of a plan file. */
export function encodePlan(plan: Plan): string {
  return `${JSON.stringify(plan, null, 2)}\n`;
}

/**
 * Reads a plan file.
 * @throws {FileError} with all problems
 */
export function decodePlan(text: string, source: string = 'the plan file'): Plan {
  const value = parseJson(text, source);
  const version = typeof value === 'object' && value !== null && 'version' in value ? value.version : undefined;
  if (version !== PLAN_VERSION) {
    const message = `is ${JSON.stringify(version)}; expected ${PLAN_VERSION}: search again with this version`;
    throw new FileError(source, [{ path: 'version', message }]);
  }
  if (!checker.is(value)) throw new FileError(source, checker.problems(value));
  return value;
}

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

/** How the cluster of a plan differs from another in its devices and wires; empty where a plan for one runs on the other. */
function clusterDifferences(planned: ClusterDescription, target: ClusterDescription): Problem[] {
  const devicesOf = ({ devices }: ClusterDescription): string[] => devices.map(({ name, type }) => `${name} (${type})`);
  const wiresOf = ({ connections }: ClusterDescription): string[] =>
    connections.map(({ between }) => between.toSorted().join(' - '));
  return [
    ...listDifferences('cluster.devices', devicesOf(planned), devicesOf(target), target.name),
    ...listDifferences('cluster.connections', wiresOf(planned), wiresOf(target), target.name),
  ];
}

function listDifferences(path: string, planned: readonly string[], target: readonly string[], name: string): Problem[] {
  const [inPlan, inTarget] = [new Set(planned), new Set(target)];
  const missing = target.filter((each) => !inPlan.has(each));
  const surplus = planned.filter((each) => !inTarget.has(each));
  const problems: Problem[] = [];
  if (missing.length > 0)
    problems.push({ path, message: `lacks ${few(missing)} of cluster '${name}': search again for it` });
  if (surplus.length > 0)
    problems.push({ path, message: `has ${few(surplus)}, which cluster '${name}' has not: search again for it` });
  return problems;
}

/** The first few of a list. */
function few(list: readonly string[]): string {
  return list.slice(0, 5).join(', ') + (list.length > 5 ? ', ...' : '');
}

function modelDifferences({ model, ops }: Plan, graph: Graph): Problem[] {
  const names = new Set(graph.ops.map(({ name }) => name));
  const missing = [...names].filter((name) => !Object.hasOwn(ops, name));
  const surplus = Object.keys(ops).filter((name) => !names.has(name));
  const problems: Problem[] = [];
  if (missing.length > 0) problems.push({ path: 'ops', message: `lacks ${few(missing)} of model '${graph.name}'` });
  if (surplus.length > 0) problems.push({ path: 'ops', message: `has ${few(surplus)}, which '${graph.name}' has not` });
  const fingerprint = graphFingerprint(graph);
  if (problems.length === 0 && model.fingerprint !== fingerprint) {
    const message =
      `is ${model.fingerprint} (model '${model.name}', batch ${model.batch}); expected ${fingerprint} of '${graph.name}': ` +
      'shapes, attributes or the batch differ; search again for this model';
    problems.push({ path: 'model.fingerprint', message });
  }
  return problems;
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

function parseJson(text: string, source: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new FileError(source, [
      { path: '', message: `is not JSON (${reason}); expected a plan as 'soapstone plan --save' writes it` },
    ]);
  }
}
