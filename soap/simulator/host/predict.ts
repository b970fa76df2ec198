import type { Cluster } from '../../cluster/cluster.ts';
import type { CostSource } from '../../cost/cost-source.ts';
import type { HostCosts } from '../../cost/cost-table.ts';
import { createRooflineCosts } from '../../cost/roofline.ts';
import type { TrainingGraph } from '../../graph/loss.ts';
import type { Strategy } from '../../strategy/strategy.ts';
import type { TaskOptions } from '../../tasks/build.ts';
import { buildTaskGraph } from '../../tasks/build.ts';
import type { Layout } from '../../tasks/layout.ts';
import { layOut, wantedGradients } from '../../tasks/layout.ts';
import type { TaskGraph } from '../../tasks/task-graph.ts';
import type { MicroBatch } from '../../tasks/work.ts';
import { partWork, regionBytes, shardWork, statisticsWork, workUs } from '../../tasks/work.ts';
import { simulate } from '../simulate.ts';
import { deviceOrders } from '../summary.ts';
import { hostIterations, THREADS_PER_DEVICE } from './items.ts';
import { coreGroups } from './own-cores.ts';
import type { HostPlan } from './plan.ts';
import { hostPlan } from './plan.ts';
import { runItems } from './run-items.ts';

/** What a prediction for one host needs. */
export interface HostProblem extends TaskOptions {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly costs: CostSource;
}

/** Iterations that are simulated, and those before times count. */
const [ITERATIONS, WARM_UP] = [4, 2];

/** An iteration on one host, and what its tasks add to kernels: microseconds, by task. */
export interface HostWork {
  readonly plan: HostPlan;
  readonly taskUs: Float64Array;
}

/** The costs of the host where all devices of a cluster are on one that was measured; undefined elsewhere. */
export function hostOf({ devices }: Cluster, costs: CostSource): HostCosts | undefined {
  const [first] = devices;
  if (first === undefined || devices.some(({ node, type }) => node !== first.node || type !== first.type)) return;
  return costs.host(first.type);
}

/** Microseconds from the end of one step to that of the next, on devices that share a host. */
export function hostIterationUs(problem: HostProblem, strategy: Strategy, host: HostCosts): number {
  const lastUs = hostWorkUs(hostWork(problem, strategy, host), host);
  const repeats = problem.training.accumulationSteps - 1;
  return repeats === 0 ? lastUs : lastUs + repeats * hostWorkUs(hostWork(problem, strategy, host, 'earlier'), host);
}

/** The same for work that is laid out already. @param otherCores that other processes keep busy */
export function hostWorkUs(work: HostWork, host: HostCosts, otherCores: number = 0): number {
  const { items, ends } = hostIterations(work.plan, work.taskUs, host, ITERATIONS);
  const { groupOf, ...shared } = coreGroups(host.cores, work.plan.actions.length);
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
  return (endUs[ends.at(-1)![0]!]! - endUs[ends[WARM_UP - 1]![0]!]!) / (ITERATIONS - WARM_UP);
}

/**
 * The tasks of an iteration as the runtime runs them, in its order, with the durations of a cost source.
 * @param host as the cost source has it
 * @param microBatch of a step of several, the one that the iteration is of
 */
export function hostWork(
  { training, cluster, costs, ...options }: HostProblem,
  strategy: Strategy,
  host: HostCosts,
  microBatch: MicroBatch = 'last',
): HostWork {
  // Every device works the order out for itself, without a cost table: see `planWork` of runtime/worker/load-job.ts.
  const graph = buildTaskGraph(training, strategy, cluster, createRooflineCosts(), options, microBatch);
  const layout = layOut(training, strategy);
  const stretch = Math.max(1, cluster.devices.length / host.cores);
  const taskUs = taskDurations(graph, layout, cluster, costs, microBatch).map(
    (us, id) => us / stretch - (graph.tasks[id]!.kind === 'update' ? host.updateUs : 0),
  );
  return { plan: hostPlan(layout, graph, deviceOrders(graph, simulate(graph))), taskUs };
}

function taskDurations(
  { tasks }: TaskGraph,
  layout: Layout,
  { devices }: Cluster,
  costs: CostSource,
  microBatch: MicroBatch,
): Float64Array {
  return Float64Array.from(tasks, (task) => {
    if (task.kind === 'update') {
      const bytes = regionBytes(layout.shards[task.shard]!.region);
      return workUs(shardWork(bytes, layout.accumulationSteps, microBatch), costs, devices[task.device]!);
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
