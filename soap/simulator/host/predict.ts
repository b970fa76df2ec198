import type { Cluster } from '../../cluster/cluster.ts';
import type { CostSource } from '../../cost/cost-source.ts';
import type { TaskWork } from '../../cost/task-work.ts';
import type { HostCosts } from '../../cost/cost-table.ts';
import { createRooflineCosts } from '../../cost/roofline.ts';
import type { TrainingGraph } from '../../training/loss.ts';
import type { Strategy } from '../../strategy/strategy.ts';
import type { TaskOptions } from '../../tasks/task-options.ts';
import { buildTaskGraph } from '../../tasks/build.ts';
import type { Layout } from '../../tasks/layout.ts';
import { layOut, wantedGradients } from '../../tasks/layout.ts';
import type { TaskGraph } from '../../tasks/task-graph.ts';
import type { GradientHandling } from '../../tasks/gradient-work.ts';
import { accumulateWork, gradientHandling, squaresWork, updateWork } from '../../tasks/gradient-work.ts';
import { partWork, regionBytes, statisticsWork } from '../../tasks/work.ts';
import { simulate } from '../simulate.ts';
import { deviceOrders } from '../summary.ts';
import type { HostWork } from './items.ts';
import { hostIterations, THREADS_PER_DEVICE } from './items.ts';
import { coreGroups } from './own-cores.ts';
import { hostPlan } from './plan.ts';
import { runItems } from './run-items.ts';

/** What a prediction for one host needs. */
export interface HostProblem extends TaskOptions {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly costs: CostSource;
}

/** Steps that are simulated before times count. */
const WARM_UP = 2;

/** Those after them, where each device has a core. */
const STEPS = 2;

/**
 * The same where devices take turns on a core: which of them has it when a message comes differs from step to step, so that one or two
 * steps say little. Source: measured, docs/performance/predictions.md.
 */
const STEPS_IN_TURNS = 10;

/** Micro-batches of a step that are simulated: the second takes as long as all between it and the last. */
const MAX_MICRO_BATCHES = 3;

/** The costs of the host where all devices of a cluster are on one that was measured; undefined elsewhere. */
export function hostOf({ devices }: Cluster, costs: CostSource): HostCosts | undefined {
  const [first] = devices;
  if (first === undefined || devices.some(({ node, type }) => node !== first.node || type !== first.type)) return;
  return costs.host(first.type);
}

/** Microseconds from the end of one step to that of the next, on devices that share a host. */
export function hostIterationUs(problem: HostProblem, strategy: Strategy, host: HostCosts): number {
  return hostWorkUs(hostWork(problem, strategy, host), host);
}

/** The same for work that is laid out already. @param otherCores that other processes keep busy */
export function hostWorkUs(work: HostWork, host: HostCosts, otherCores: number = 0): number {
  const { accumulationSteps } = work.plan.handling;
  const microBatches = Math.min(accumulationSteps, MAX_MICRO_BATCHES);
  const devices = work.plan.actions.length;
  const steps = devices > host.cores ? STEPS_IN_TURNS : STEPS;
  const { items, ends, passEnds } = hostIterations(work, host, WARM_UP + steps, microBatches);
  const { groupOf, ...shared } = coreGroups(host.cores, devices);
  const ofThreads = groupOf.flatMap((group) => Array.from({ length: THREADS_PER_DEVICE }, () => group));
  const processOf = ofThreads.map((_, thread) => Math.floor(thread / THREADS_PER_DEVICE));
  const endUs = runItems(items, {
    ...shared,
    groupOf: ofThreads,
    crowding: host.crowding,
    sliceUs: host.sliceUs,
    switchUs: host.switchUs,
    processOf,
    otherCores,
  });
  const stepUs = (endUs[ends.at(-1)![0]!]! - endUs[ends[WARM_UP - 1]![0]!]!) / steps;
  if (accumulationSteps === microBatches) return stepUs;
  const secondUs = passEnds.slice(WARM_UP).map(([first, second]) => endUs[second!]! - endUs[first!]!);
  const moreUs = secondUs.reduce((sum, us) => sum + us, 0) / secondUs.length;
  return stepUs + (accumulationSteps - microBatches) * moreUs;
}

/** The same work where tasks take so many times as long within kernels as they were laid out with. */
export function stretchedWork(
  { plan, taskUs, accumulateUs, squaresUs }: HostWork,
  { taskShare, updateShare = taskShare }: Pick<HostCosts, 'taskShare' | 'updateShare'>,
): HostWork {
  const updates = new Set(plan.actions.flat().flatMap((action) => (action.kind === 'update' ? action.task : [])));
  const ofUpdates = (list: Float64Array): Float64Array => list.map((us) => us * updateShare);
  return {
    plan,
    taskUs: taskUs.map((us, id) => us * (updates.has(id) ? updateShare : taskShare)),
    accumulateUs: ofUpdates(accumulateUs),
    squaresUs: ofUpdates(squaresUs),
  };
}

/**
 * The tasks of a step as the runtime runs them, in its order, with the durations of a cost source.
 * @param host as the cost source has it
 */
export function hostWork(
  { training, cluster, costs, ...options }: HostProblem,
  strategy: Strategy,
  host: HostCosts,
): HostWork {
  // Every device works the order out for itself, without a cost table: see `planWork` of runtime/program/planned-work.ts.
  const graph = buildTaskGraph(training, strategy, cluster, createRooflineCosts(), options);
  const layout = layOut(training, strategy);
  const stretch = Math.max(1, cluster.devices.length / host.cores);
  const handling = gradientHandling(training, options);
  const taskUs = taskDurations(graph, layout, cluster, costs, handling).map(
    (us, id) => us / stretch - (graph.tasks[id]!.kind === 'update' ? host.updateUs : 0),
  );
  const ofShards = (workOf: (bytes: number) => TaskWork): Float64Array =>
    Float64Array.from(
      layout.shards,
      ({ region }) => costs.durationUs(workOf(regionBytes(region)), cluster.devices[0]!) / stretch - host.updateUs,
    );
  return {
    plan: hostPlan(layout, graph, deviceOrders(graph, simulate(graph)), handling),
    taskUs,
    accumulateUs: ofShards(accumulateWork),
    squaresUs: ofShards(squaresWork),
  };
}

function taskDurations(
  { tasks }: TaskGraph,
  layout: Layout,
  { devices }: Cluster,
  costs: CostSource,
  { isScaled }: GradientHandling,
): Float64Array {
  return Float64Array.from(tasks, (task) => {
    if (task.kind === 'update') {
      const bytes = regionBytes(layout.shards[task.shard]!.region);
      return costs.durationUs(updateWork(bytes, isScaled), devices[task.device]!);
    }
    if (task.kind !== 'forward' && task.kind !== 'backward') return 0;
    const op = layout.graph.ops[task.op]!;
    const part = layout.parts[task.op]![task.part]!;
    const work =
      task.stage === 'main'
        ? partWork(part, op, task.kind, wantedGradients(layout, op))
        : statisticsWork(part, op, task.kind);
    return costs.durationUs(work, devices[task.device]!);
  });
}
