import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { deviceOrders } from '../../soap/simulator/summary.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { oversizedMessage } from '../../soap/tasks/message-limit.ts';
import type { TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { TaskOptions } from '../../soap/tasks/task-options.ts';
import { predictedOpMs } from './op-clock.ts';

/** What a strategy makes of a model: the work of every device. */
export interface PlannedWork {
  readonly layout: Layout;
  readonly tasks: TaskGraph;
  /** By device: ids of its compute and update tasks, in order; every micro-batch is taken in it. */
  readonly orders: readonly (readonly number[])[];
}

/**
 * Builds and times the task graph of a strategy, as the search did. Every device gets the same result.
 * @param strategy valid for the graph and the cluster
 * @throws {Error} a sentence, where a message would be too large
 */
export function planWork(
  training: TrainingGraph,
  strategy: Strategy,
  cluster: Cluster,
  options: TaskOptions = {},
): PlannedWork {
  const tasks = buildTaskGraph(training, strategy, cluster, createRooflineCosts(), options);
  const problem = oversizedMessage(training.graph, tasks);
  if (problem !== undefined) throw new Error(problem);
  return { layout: layOut(training, strategy), tasks, orders: deviceOrders(tasks, simulate(tasks)) };
}

/** What the plan says of one step of a device, and the simulator of what it does not say; sums of gradients overlap, and are added up. */
export function predictedTimes(
  { tasks, layout: { accumulationSteps } }: PlannedWork,
  device: number,
  graph: Graph,
  planned: Plan['ops'],
): { readonly computeSeconds: number; readonly collectiveSeconds: number } {
  const iterationMs = predictedOpMs(tasks, graph, device, planned).reduce((sum, ms) => sum + ms, 0);
  let computeUs = 1000 * accumulationSteps * iterationMs;
  let collectiveUs = 0;
  for (const task of tasks.tasks) {
    if (task.kind === 'collective') collectiveUs += task.devices.includes(device) ? task.durationUs : 0;
    else if (task.kind === 'update' && task.device === device) computeUs += task.durationUs;
  }
  return { computeSeconds: computeUs / 1e6, collectiveSeconds: collectiveUs / 1e6 };
}
