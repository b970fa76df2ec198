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
}

/** One op's split, by names: degrees above 1, and the device of each part. */
export interface PlannedOp {
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
 * Matches a plan with a model.
 * @throws {FileError} naming the difference, where the plan is for another model or does not fit
 */
export function resolvePlan(plan: Plan, graph: Graph, source: string = 'the plan'): ResolvedPlan {
  const differences = modelDifferences(plan, graph);
  if (differences.length > 0) throw new FileError(`${source} is for another model: it`, differences);
  const cluster = createCluster(plan.cluster);
  const problems: Problem[] = [];
  const configs = graph.ops.map((op) => resolveOp(graph, op.id, plan.ops[op.name]!, cluster, problems));
  const strategy = { configs };
  if (problems.length === 0) {
    problems.push(
      ...validateStrategy(graph, cluster.devices.length, strategy).map((message) => ({ path: 'ops', message })),
    );
  }
  if (problems.length > 0) throw new FileError(source, problems);
  return { cluster, strategy };
}

function modelDifferences({ model, ops }: Plan, graph: Graph): Problem[] {
  const names = new Set(graph.ops.map(({ name }) => name));
  const missing = [...names].filter((name) => !Object.hasOwn(ops, name));
  const surplus = Object.keys(ops).filter((name) => !names.has(name));
  const problems: Problem[] = [];
  const few = (list: readonly string[]): string => list.slice(0, 5).join(', ') + (list.length > 5 ? ', ...' : '');
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

function resolveOp(graph: Graph, op: number, planned: PlannedOp, cluster: Cluster, problems: Problem[]): OpConfig {
  const { name } = graph.ops[op]!;
  const dimensions = opDimensions(graph, graph.ops[op]!);
  const known = new Set(dimensions.map((dimension) => dimension.name));
  for (const dimension of Object.keys(planned.degrees)) {
    if (known.has(dimension)) continue;
    problems.push({ path: `ops.${name}.degrees`, message: `has '${dimension}'; expected ${[...known].join(', ')}` });
  }
  const devices = planned.devices.map((device) => {
    const id = cluster.devices.findIndex((candidate) => candidate.name === device);
    if (id < 0)
      problems.push({
        path: `ops.${name}.devices`,
        message: `has '${device}', which cluster '${cluster.name}' has not`,
      });
    return id;
  });
  return { degrees: dimensions.map((dimension) => planned.degrees[dimension.name] ?? 1), devices };
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
