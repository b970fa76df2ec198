import type { Cluster } from '../../cluster/cluster.ts';
import type { OpConfig } from '../../strategy/strategy.ts';
import type { OpGeometries, OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import { taskKey } from '../../tasks/task-key.ts';
import type { Loads } from './loads.ts';
import type { OpDelay } from './delays.ts';
import type { Resources } from './resources.ts';
import type { OpPlacement, OpState, PassTasks } from './states.ts';
import { eachTask, NO_TASKS, NONE } from './states.ts';
import type { TaskStore } from './task-store.ts';
import { TASK } from './task-store.ts';
import type { Wiring } from './wiring.ts';

/** What the tasks of ops are made of. */
interface OpTasksOptions {
  readonly cluster: Cluster;
  /** By device: equal for devices that take the same time for everything. */
  readonly deviceClasses: Int32Array;
  readonly geometries: OpGeometries;
  readonly wiring: Wiring;
  readonly resources: Resources;
  readonly tasks: TaskStore;
  readonly loads: Loads;
}

/** The compute tasks of ops, and the gathers of their statistics. */
export class OpTasks {
  readonly #options: OpTasksOptions;

  constructor(options: OpTasksOptions) {
    this.#options = options;
  }

  /** Places an op's parts, without their tasks. */
  place(op: number, { degrees, devices }: OpConfig): OpState {
    const { wiring, geometries } = this.#options;
    const backward = wiring.hasBackward[op] === true ? NO_TASKS : undefined;
    return { geometry: geometries.get(op, degrees), devices, forward: NO_TASKS, backward };
  }

  /**
   * Adds the compute tasks of an op to the loads, or takes them away, whether they were made or not. Returns what its fastest
   * part takes.
   * @param sign 1 to add, -1 to take away
   */
  load(op: number, { geometry, devices }: OpPlacement, sign: 1 | -1): OpDelay {
    const { wiring, loads, cluster, deviceClasses: classes } = this.#options;
    const hasBackward = wiring.hasBackward[op] === true;
    const loadUs = loads.us;
    let [forwardUs, backwardUs] = [Infinity, hasBackward ? Infinity : 0];
    let deviceClass = -1;
    let times = geometry.durations(cluster.devices[devices[0]!]!);
    for (let part = 0; part < geometry.parts; part++) {
      const device = devices[part]!;
      if (classes[device] !== deviceClass) {
        deviceClass = classes[device]!;
        times = geometry.durations(cluster.devices[device]!);
      }
      let partUs = times.forwardAllUs[part]!;
      if (partUs < forwardUs) forwardUs = partUs;
      if (hasBackward) {
        const backUs = times.backwardAllUs[part]!;
        if (backUs < backwardUs) backwardUs = backUs;
        partUs += backUs;
      }
      loadUs[device]! += sign * partUs;
    }
    return { forwardUs, backwardUs };
  }

  /** Takes all tasks of an op out of the loads. */
  unload(op: number, state: OpState): void {
    this.load(op, state, -1);
    const unload = (task: number): void => this.#options.loads.count(task, -1);
    eachTask(state.forward.gather, unload);
    if (state.backward !== undefined) eachTask(state.backward.gather, unload);
  }

  /** Makes the tasks of an op's parts, whose loads are counted but for gathers. */
  make(op: number, { geometry, devices }: OpPlacement): OpState {
    const forward = this.#makePass('forward', op, geometry, devices);
    const backward = this.#options.wiring.hasBackward[op]
      ? this.#makePass('backward', op, geometry, devices)
      : undefined;
    return { geometry, devices, forward, backward };
  }

  #makePass(
    direction: 'forward' | 'backward',
    op: number,
    geometry: OpGeometry,
    devices: readonly number[],
  ): PassTasks {
    const { cluster, tasks } = this.#options;
    const { parts, groups, groupOf, hasBackward } = geometry;
    const hasTask = (part: number): boolean => direction === 'forward' || hasBackward[part] === 1;
    const told = direction === 'forward' ? geometry.forwardStatisticsBytes : geometry.backwardStatisticsBytes;
    const main = new Int32Array(parts).fill(NONE);
    const statistics = new Int32Array(parts).fill(NONE);
    let count = 0;
    for (let part = 0; part < parts; part++) {
      if (!hasTask(part)) continue;
      count += 1;
      const device = cluster.devices[devices[part]!]!;
      const times = geometry.durations(device);
      const mainUs = direction === 'forward' ? times.forwardUs[part]! : times.backwardUs[part]!;
      main[part] = tasks.add(TASK[direction], op, part, taskKey(direction, op, part), mainUs, device.id);
      if (groups[groupOf[part]!]!.length === 1 || told[groupOf[part]!] === 0) continue;
      const firstUs = direction === 'forward' ? times.forwardStatisticsUs[part]! : times.backwardStatisticsUs[part]!;
      const [code, kind] = [TASK[`${direction}Statistics`], `${direction}Statistics`] as const;
      statistics[part] = tasks.add(code, op, part, taskKey(kind, op, part), firstUs, device.id);
      count += 1;
    }
    const gather = new Int32Array(groups.length).fill(NONE);
    for (let group = 0; group < groups.length; group++) {
      if (groups[group]!.length === 1 || told[group] === 0 || !groups[group]!.every(hasTask)) continue;
      gather[group] = this.#makeGather(direction, op, group, groups[group]!, devices, told);
      if (gather[group] !== NONE) count += 1;
    }
    return { main, statistics, gather, count };
  }

  #makeGather(
    direction: 'forward' | 'backward',
    op: number,
    index: number,
    group: Int32Array,
    devices: readonly number[],
    told: Float64Array,
  ): number {
    const { resources, tasks, loads } = this.#options;
    const members = [...new Set(Array.from(group, (part) => devices[part]!))].sort((a, b) => a - b);
    if (members.length === 1) return NONE;
    const perDevice = Math.ceil(group.length / members.length) * told[index]!;
    const { durationUs, links } = resources.allGather(members, perDevice);
    const key = taskKey(`${direction}Gather`, op, group[0]!);
    const set = resources.setOf(links);
    const task = tasks.add(TASK[`${direction}Gather`], op, index, key, durationUs, set);
    loads.count(task, 1);
    return task;
  }
}
