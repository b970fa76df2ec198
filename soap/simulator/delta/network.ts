import type { Cluster } from '../../cluster/cluster.ts';
import type { CostSource } from '../../cost/cost-source.ts';
import type { TrainingGraph } from '../../training/loss.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import { deviceClasses, OpGeometries } from '../../tasks/geometry/op-geometry.ts';
import type { TaskOptions } from '../../tasks/task-options.ts';
import type { MicroBatch } from '../../tasks/gradient-work.ts';
import { gradientHandling } from '../../tasks/gradient-work.ts';
import { EdgeTasks } from './edge-tasks.ts';
import { Loads } from './loads.ts';
import { OpTasks } from './op-tasks.ts';
import { ParameterTasks } from './parameter-tasks.ts';
import { Resources } from './resources.ts';
import type { EdgeState, OpState, ParameterState } from './states.ts';
import { eachOpTask, eachParameterTask } from './states.ts';
import { TaskStore } from './task-store.ts';
import type { Wiring } from './wiring.ts';
import { wiringOf } from './wiring.ts';

/** What the task graphs of a planning problem are made of. */
export interface NetworkProblem extends TaskOptions {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly costs: CostSource;
  /** Decides how much memory parameters need; plain SGD with momentum where left out. */
  readonly optimizer?: OptimizerName;
}

/**
 * The task graph of one strategy, kept op by op, edge by edge and parameter by parameter, so that a changed op replaces only
 * its own tasks and those around it. Tasks, keys and durations are those of `buildTaskGraph`.
 */
export class Network {
  readonly wiring: Wiring;
  readonly resources: Resources;
  readonly geometries: OpGeometries;
  readonly tasks: TaskStore = new TaskStore();
  readonly loads: Loads;
  /** By op, edge, and parameter. */
  readonly ops: OpState[] = [];
  readonly edges: EdgeState[] = [];
  readonly parameters: ParameterState[] = [];
  /** Make the tasks of these. */
  readonly opTasks: OpTasks;
  readonly edgeTasks: EdgeTasks;
  readonly parameterTasks: ParameterTasks;

  constructor(problem: NetworkProblem, microBatch: MicroBatch) {
    const { training, cluster, costs } = problem;
    const classes = deviceClasses(cluster.devices);
    const resources = new Resources(cluster, problem);
    const loads = new Loads(resources, this.tasks);
    const geometries = new OpGeometries(training.graph, costs, classes);
    const wiring = wiringOf(training);
    const shared = { cluster, deviceClasses: classes, resources, tasks: this.tasks, loads };
    this.opTasks = new OpTasks({ ...shared, geometries, wiring });
    this.edgeTasks = new EdgeTasks(resources, this.tasks, this.ops);
    this.parameterTasks = new ParameterTasks({
      ...shared,
      training,
      costs,
      handling: gradientHandling(training, problem),
      microBatch,
      ops: this.ops,
    });
    this.wiring = wiring;
    this.resources = resources;
    this.loads = loads;
    this.geometries = geometries;
  }

  /** Adds the loads up anew, which rounding has driven from their true values. */
  refreshLoads(): void {
    this.loads.clear();
    const count = (task: number): void => this.loads.count(task, 1);
    for (const state of this.ops) eachOpTask(state, count);
    for (const { traffic } of this.edges) this.loads.countEdge(traffic, 1);
    for (const state of this.parameters) eachParameterTask(state, count);
  }
}
