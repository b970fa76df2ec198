import type { Tensor } from '../graph/graph.ts';
import type { TrainingGraph } from '../training/loss.ts';
import type { PlanningProblem, Prediction } from '../simulator/evaluate.ts';
import { evaluate } from '../simulator/evaluate.ts';
import { batchSizeOf } from '../training/batch-size.ts';
import { simulate } from '../simulator/simulate.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { buildTaskGraph } from '../tasks/build.ts';
import { opDimensions } from '../ops/index.ts';
import type { Alternative } from './alternatives.ts';
import { dataParallelAlternatives } from './alternatives.ts';
import type { DeviceBudget, PathBudget } from './budget.ts';
import { deviceBudgets, partOf, pathBudget } from './budget.ts';
import type { Causes } from './causes.ts';
import { simulateWithCauses } from './causes.ts';
import type { Stretch } from './critical-path.ts';
import { criticalPath } from './critical-path.ts';
import type { Lever } from './levers.ts';
import { leversOf } from './levers.ts';
import type { LinkLoad } from './links.ts';
import { linkLoads } from './links.ts';
import { opsOfTasks, taskInWords } from './task-names.ts';
import { configurationInWords } from './words.ts';

/** A stretch of the critical path, by names. */
export interface NamedStretch {
  readonly what: string;
  readonly op: string;
  readonly part: keyof PathBudget;
  readonly fromUs: number;
  readonly toUs: number;
  /** The link that is waited for; null where none is. */
  readonly waitingFor: string | null;
}

/** Why one op is as it is. */
export interface OpExplanation {
  readonly op: string;
  readonly kind: string;
  readonly configuration: string;
  /** Degrees above 1, by dimension. */
  readonly degrees: Readonly<Record<string, number>>;
  readonly devices: readonly string[];
  /** Names of the parameters that it reads and that keep their values. */
  readonly frozen: readonly string[];
  /** Of the device that computes longest for it. */
  readonly forwardUs: number;
  readonly backwardUs: number;
  /** What its parts read from other devices, gradients of that included; what its parameters' sums and updates send is not. */
  readonly receivedBytes: number;
  /** Spent on it on the critical path, its transfers and parameters included; and that of the iteration. */
  readonly criticalUs: number;
  readonly criticalShare: number;
  readonly dataParallel: Alternative;
}

/** Why an iteration takes as long as it does. All times are simulated. */
export interface Explanation {
  readonly model: string;
  /** Samples of a step, and the micro-batches that they are taken in. */
  readonly batch: number;
  readonly accumulationSteps: number;
  readonly cluster: string;
  readonly prediction: Prediction;
  /** Of the last micro-batch, which all that follows is about, and of each one before it: 0 where there is none. */
  readonly makespanUs: number;
  readonly earlierUs: number;
  readonly budget: PathBudget;
  readonly devices: readonly (Omit<DeviceBudget, 'device'> & { readonly device: string })[];
  /** Links in use, busiest first. */
  readonly links: readonly LinkLoad[];
  readonly ops: readonly OpExplanation[];
  readonly levers: readonly Lever[];
  readonly criticalPath: readonly NamedStretch[];
}

/** An explanation with the simulation that it was made from, for pictures and traces. */
export interface Explained {
  readonly explanation: Explanation;
  readonly causes: Causes;
  readonly path: readonly Stretch[];
  /** By task id. */
  readonly opOfTask: Int32Array;
  /** By link id. */
  readonly links: readonly LinkLoad[];
}

/**
 * Explains a strategy: builds and simulates the whole task graph once, then the changes that it speaks of.
 * @param largerBatch the model for a larger batch, where it can be had
 */
export function explain(problem: PlanningProblem, strategy: Strategy, largerBatch?: TrainingGraph): Explained {
  const { training, cluster, costs } = problem;
  const causes = simulateWithCauses(buildTaskGraph(training, strategy, cluster, costs, problem));
  const { makespanUs } = causes.timeline;
  const path = criticalPath(causes);
  const opOfTask = opsOfTasks(causes.graph, training.graph);
  const devices = deviceBudgets(causes);
  const links = linkLoads(causes.graph, makespanUs, cluster);
  const busiest = devices.reduce((a, b) => (b.computeUs > a.computeUs ? b : a)).device;
  const levers = leversOf(
    problem,
    strategy,
    links.map(({ busyUs }) => busyUs),
    busiest,
    largerBatch,
  );
  const explanation: Explanation = {
    model: training.graph.name,
    batch: batchSizeOf(training),
    accumulationSteps: training.accumulationSteps,
    cluster: cluster.name,
    prediction: evaluate(problem, strategy),
    makespanUs,
    earlierUs: training.accumulationSteps === 1 ? 0 : earlierUs(problem, strategy),
    budget: pathBudget(causes, path),
    devices: devices.map(({ device, ...budget }) => ({ device: cluster.devices[device]!.name, ...budget })),
    links: links.filter(({ busyUs }) => busyUs > 0).sort((a, b) => b.busyUs - a.busyUs),
    ops: explainOps(problem, strategy, causes, path, opOfTask),
    levers,
    criticalPath: path.map((stretch) => nameStretch(stretch, problem, causes, opOfTask)),
  };
  return { explanation, causes, path, opOfTask, links };
}

function earlierUs(problem: PlanningProblem, strategy: Strategy): number {
  const { training, cluster, costs } = problem;
  return simulate(buildTaskGraph(training, strategy, cluster, costs, problem, 'earlier')).makespanUs;
}

function nameStretch(
  stretch: Stretch,
  { training, cluster }: PlanningProblem,
  { graph }: Causes,
  opOfTask: Int32Array,
): NamedStretch {
  const { fromUs, toUs, waitingFor } = stretch;
  const task = graph.tasks[stretch.task]!;
  return {
    what: taskInWords(task, graph, training.graph, cluster),
    op: training.graph.ops[opOfTask[stretch.task]!]!.name,
    part: partOf(task, stretch),
    fromUs,
    toUs,
    waitingFor: waitingFor === -1 ? null : cluster.links[waitingFor - graph.deviceCount]!.name,
  };
}

function explainOps(
  problem: PlanningProblem,
  strategy: Strategy,
  { graph, timeline }: Causes,
  path: readonly Stretch[],
  opOfTask: Int32Array,
): OpExplanation[] {
  const { training, cluster } = problem;
  const { ops } = training.graph;
  const alternatives = dataParallelAlternatives(problem, strategy);
  const criticalUs = new Float64Array(ops.length);
  for (const { task, fromUs, toUs } of path) criticalUs[opOfTask[task]!]! += toUs - fromUs;
  const receivedBytes = new Float64Array(ops.length);
  const busy = { forward: perDevice(ops.length), backward: perDevice(ops.length) };
  for (const task of graph.tasks) {
    if (task.kind === 'transfer') receivedBytes[task.consumer]! += task.bytes;
    if (task.kind !== 'forward' && task.kind !== 'backward') continue;
    const times = busy[task.kind][task.op]!;
    times.set(task.device, (times.get(task.device) ?? 0) + task.durationUs);
  }
  return ops.map((op): OpExplanation => {
    const { degrees, devices } = strategy.configs[op.id]!;
    const named = opDimensions(training.graph, op).flatMap(({ name }, i): [string, number][] =>
      degrees[i] === 1 ? [] : [[name, degrees[i]!]],
    );
    return {
      op: op.name,
      kind: op.kind,
      configuration: configurationInWords(training.graph, op, strategy.configs[op.id]!, cluster),
      degrees: Object.fromEntries(named),
      devices: devices.map((device) => cluster.devices[device]!.name),
      frozen: op.inputs.map((tensor) => training.graph.tensors[tensor]!).flatMap(frozenName),
      forwardUs: Math.max(0, ...busy.forward[op.id]!.values()),
      backwardUs: Math.max(0, ...busy.backward[op.id]!.values()),
      receivedBytes: receivedBytes[op.id]!,
      criticalUs: criticalUs[op.id]!,
      criticalShare: timeline.makespanUs === 0 ? 0 : criticalUs[op.id]! / timeline.makespanUs,
      dataParallel: alternatives[op.id]!,
    };
  });
}

function frozenName({ name, role, frozen }: Tensor): string[] {
  return role === 'parameter' && frozen === true ? [name] : [];
}

function perDevice(ops: number): Map<number, number>[] {
  return Array.from({ length: ops }, () => new Map());
}
