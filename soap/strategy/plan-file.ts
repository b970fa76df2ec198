import { descriptionProblems } from '../cluster/cluster-file.ts';
import type { Cluster, ClusterDescription } from '../cluster/cluster.ts';
import { createCluster } from '../cluster/topology.ts';
import type { CostBasis } from '../cost/cost-source.ts';
import type { Graph } from '../graph/graph.ts';
import type { TrainingGraph } from '../graph/loss.ts';
import { lossOf } from '../graph/loss.ts';
import type { LossSettings, ModelSource, OptimizerName, WireType } from '../job/training-job.ts';
import { opDimensions } from '../ops/index.ts';
import type { Problem } from '../schema/check.ts';
import { createChecker, FileError } from '../schema/check.ts';
import type { TaskOptions } from '../tasks/task-options.ts';
import { taskOptions } from '../tasks/task-options.ts';
import type { CollectiveAlgorithm } from '../tasks/task-graph.ts';
import { SOAPSTONE_VERSION } from '../version.ts';
import { graphFingerprint } from './fingerprint.ts';
import { clusterDifferences, few, modelDifferences } from './plan-differences.ts';
import { PLAN_SCHEMA, PLAN_VERSION } from './plan-schema.ts';
import { updatedPlan } from './plan-versions.ts';
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
  /** What messages have beyond what one may have, in all; absent where none is too large. */
  readonly oversizedMessageBytes?: number;
}

/** One op's split, by names: degrees above 1, and the device of each part. */
export interface PlannedOp {
  /** What the op is and the shape of its first output, so that differences from a model can be told; absent in older files. */
  readonly kind?: string;
  readonly shape?: readonly number[];
  readonly degrees: Readonly<Record<string, number>>;
  readonly devices: readonly string[];
  /** Predicted time of its kernels in an iteration, on the device that does most of it; absent in older files. */
  readonly computeMs?: number;
}

/** Where a planned model comes from; of an ONNX file also its SHA-256 in hex, which older files do not have. */
export type PlannedSource = ModelSource & { readonly sha256?: string };

/** The best of a search at some moment. */
export interface CurvePoint {
  readonly seconds: number;
  readonly proposals: number;
  readonly iterationMs: number;
}

/** The settings of a search, and how it went. */
export interface PlanSearch {
  readonly seed: number;
  /** Its budget. */
  readonly seconds: number;
  readonly proposalLimit?: number;
  readonly beta: number;
  readonly chains: number;
  readonly start: readonly string[];
  readonly proposals: number;
  readonly accepted: number;
  readonly stoppedBy: string;
  /** Each improvement that was reported; absent in older files. */
  readonly curve?: readonly CurvePoint[];
}

/** What the model is trained with, as far as it changes tasks or memory. */
interface PlannedTraining {
  readonly loss: LossSettings;
  readonly optimizer: OptimizerName;
  /** How gradients might be summed; every way where absent. */
  readonly collectives?: readonly CollectiveAlgorithm[];
  /** How activations and gradients travel; float32 where absent. */
  readonly wire?: WireType;
  /** Whether the norm of all gradients together is limited; it is not where absent. */
  readonly clipsGradients?: boolean;
  /** Micro-batches of a step; 1 where absent. */
  readonly gradientAccumulationSteps?: number;
}

/** A plan: everything that is needed to run it, to predict it again, and to search it again. */
export interface Plan {
  readonly version: typeof PLAN_VERSION;
  /** The version of Soapstone that wrote it. */
  readonly soapstone: string;
  readonly model: {
    readonly name: string;
    readonly fingerprint: string;
    /** Samples of a step, over all micro-batches. */
    readonly batch: number;
    /** Where it comes from; an ONNX file's path as it was given. Absent where that is not known. */
    readonly source?: PlannedSource;
  };
  /** Absent in older files. */
  readonly training?: PlannedTraining;
  readonly cluster: ClusterDescription;
  /** By op name. */
  readonly ops: Readonly<Record<string, PlannedOp>>;
  readonly prediction: PlanPrediction;
  readonly baselines: Readonly<Record<string, PlanPrediction>>;
  /** The strategy's origin: `search`, or the baseline that was asked for. */
  readonly origin: string;
  /** Which share of the compute time rests on measured, interpolated and data-sheet costs; absent in older files. */
  readonly costs?: Readonly<Record<CostBasis, number>>;
  /** Absent where nothing was searched. */
  readonly search?: PlanSearch;
}

/** The parts of a plan beside its strategy. */
export type PlanContext = Pick<Plan, 'prediction' | 'baselines' | 'origin' | 'search' | 'costs'> & {
  /** What ops are predicted to take, by id. */
  readonly opTimes?: readonly { readonly op: number; readonly computeMs: number }[];
};

/** What a strategy is for. */
export interface PlanSubject extends TaskOptions {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly optimizer?: OptimizerName;
  readonly source?: PlannedSource;
}

const checker = createChecker<Plan>(PLAN_SCHEMA);

/** Writes a strategy down by names. */
export function createPlan(
  { training, cluster, optimizer = 'sgd', source, ...options }: PlanSubject,
  strategy: Strategy,
  { opTimes = [], ...context }: PlanContext,
): Plan {
  const { graph, accumulationSteps } = training;
  const timeOf = new Map(opTimes.map(({ op, computeMs }) => [op, computeMs]));
  const ops = graph.ops.map((op): [string, PlannedOp] => {
    const { degrees, devices } = strategy.configs[op.id]!;
    const named = opDimensions(graph, op).flatMap(({ name }, i): [string, number][] =>
      degrees[i] === 1 ? [] : [[name, degrees[i]!]],
    );
    const { shape } = graph.tensors[op.outputs[0]!]!;
    const names = devices.map((id) => cluster.devices[id]!.name);
    const computeMs = timeOf.get(op.id);
    const time = computeMs === undefined ? {} : { computeMs: Number(computeMs.toPrecision(6)) };
    return [op.name, { kind: op.kind, shape, degrees: Object.fromEntries(named), devices: names, ...time }];
  });
  return {
    version: PLAN_VERSION,
    soapstone: SOAPSTONE_VERSION,
    model: {
      name: graph.name,
      fingerprint: graphFingerprint(graph),
      batch: graph.tensors[graph.inputs[0]!]!.shape[0]! * accumulationSteps,
      ...(source === undefined ? {} : { source }),
    },
    training: {
      loss: lossOf(training),
      optimizer,
      ...taskOptions(options),
      ...(accumulationSteps === 1 ? {} : { gradientAccumulationSteps: accumulationSteps }),
    },
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
 * Reads a plan file, of this version's form or an older one.
 * @throws {FileError} with all problems
 */
export function decodePlan(text: string, source: string = 'the plan file'): Plan {
  const value = updatedPlan(parseJson(text, source), source);
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
