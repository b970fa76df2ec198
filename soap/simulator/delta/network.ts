import type { Cluster } from '../../cluster/cluster.ts';
import type { CostSource } from '../../cost/cost-source.ts';
import type { TrainingGraph } from '../../graph/loss.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import type { OpConfig } from '../../strategy/strategy.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import { EdgeGeometries } from '../../tasks/geometry/edge-geometry.ts';
import type { OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import { deviceClasses, OpGeometries } from '../../tasks/geometry/op-geometry.ts';
import { ShardGeometries } from '../../tasks/geometry/shard-geometry.ts';
import type { TaskOptions } from '../../tasks/build.ts';
import { firstTransferKey, KEY_PER_TURN, taskKey, transferTurn } from '../../tasks/task-key.ts';
import type { MicroBatch } from '../../tasks/work.ts';
import { shardWork, workUs } from '../../tasks/work.ts';
import { Resources } from './resources.ts';
import type { OpDelay } from './path-bound.ts';
import { RouteLoads } from './route-loads.ts';
import { ShardHolders } from './shard-holders.ts';
import type { EdgeState, EdgeTraffic, OpPlacement, OpState, ParameterState, PassTasks } from './states.ts';
import { NO_TASKS, NONE } from './states.ts';
import { TASK, TaskStore } from './task-store.ts';
import type { Edge, Parameter, Wiring } from './wiring.ts';
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
 * What a message keeps hosts busy for beside the transfer of its bytes: a third of a ping-pong of small messages between two
 * processes. Source: 27 to 30 us over loopback, raw TCP and WebSocket alike.
 */
export const MESSAGE_US: number = 10;

/**
 * The task graph of one strategy, kept op by op, edge by edge and parameter by parameter, so that a changed op replaces only
 * its own tasks and those around it. Tasks, keys and durations are those of `buildTaskGraph`.
 */
export class Network {
  readonly wiring: Wiring;
  readonly resources: Resources;
  readonly geometries: OpGeometries;
  readonly tasks: TaskStore = new TaskStore();
  /** By op, edge, and parameter. */
  readonly ops: OpState[] = [];
  readonly edges: EdgeState[] = [];
  readonly parameters: ParameterState[] = [];
  /** Microseconds of all tasks that hold a resource, by resource. */
  readonly loadUs: Float64Array;
  /** How many transfers the loads count. */
  transfers: number = 0;
  readonly #problem: NetworkProblem;
  readonly #microBatch: MicroBatch;
  readonly #edgeGeometries = new EdgeGeometries();
  readonly #shardGeometries = new ShardGeometries();
  readonly #shardHolders: ShardHolders;
  readonly #updateUs = new Map<number, Float64Array>();
  readonly #deviceClasses: Int32Array;
  readonly #routeLoads: RouteLoads;

  constructor(problem: NetworkProblem, microBatch: MicroBatch) {
    const { training, cluster, costs } = problem;
    this.#problem = problem;
    this.#microBatch = microBatch;
    this.wiring = wiringOf(training);
    this.resources = new Resources(cluster, problem);
    this.#routeLoads = new RouteLoads(this.resources);
    this.#shardHolders = new ShardHolders(cluster.devices.length);
    this.#deviceClasses = deviceClasses(cluster.devices);
    this.geometries = new OpGeometries(training.graph, costs, this.#deviceClasses);
    this.loadUs = new Float64Array(this.resources.count);
  }

  /** Places an op's parts, without their tasks. */
  placeOp(op: number, { degrees, devices }: OpConfig): OpState {
    const backward = this.wiring.hasBackward[op] === true ? NO_TASKS : undefined;
    return { geometry: this.geometries.get(op, degrees), devices, forward: NO_TASKS, backward };
  }

  /**
   * Adds the compute tasks of an op to the loads, or takes them away, whether they were made or not. Returns what its fastest
   * part takes.
   * @param sign 1 to add, -1 to take away
   */
  loadOp(op: number, { geometry, devices }: OpPlacement, sign: 1 | -1): OpDelay {
    const hasBackward = this.wiring.hasBackward[op] === true;
    const { loadUs } = this;
    const classes = this.#deviceClasses;
    let [forwardUs, backwardUs] = [Infinity, hasBackward ? Infinity : 0];
    let deviceClass = -1;
    let times = geometry.durations(this.#problem.cluster.devices[devices[0]!]!);
    for (let part = 0; part < geometry.parts; part++) {
      const device = devices[part]!;
      if (classes[device] !== deviceClass) {
        deviceClass = classes[device]!;
        times = geometry.durations(this.#problem.cluster.devices[device]!);
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
  unloadOp(op: number, state: OpState): void {
    this.loadOp(op, state, -1);
    const unload = (task: number): void => this.unload(task);
    eachTask(state.forward.gather, unload);
    if (state.backward !== undefined) eachTask(state.backward.gather, unload);
  }

  /** Makes the tasks of an op's parts, whose loads are counted but for gathers. */
  makeOp(op: number, { geometry, devices }: OpPlacement): OpState {
    const forward = this.#makePass('forward', op, geometry, devices);
    const backward = this.wiring.hasBackward[op] ? this.#makePass('backward', op, geometry, devices) : undefined;
    return { geometry, devices, forward, backward };
  }

  /** How the parts at the ends of an edge share its data; undefined where there would be too many transfers. */
  edgeGeometry({ producer, output, consumer, input }: Edge): EdgeGeometry | undefined {
    return this.#edgeGeometries.get(this.ops[producer]!.geometry, output, this.ops[consumer]!.geometry, input);
  }

  /**
   * What the transfers of an edge come to, whether they were made or not; undefined where their work is certain to be more
   * than it matters for.
   */
  edgeTraffic(
    { producer, consumer, hasGradient }: Edge,
    geometry: EdgeGeometry,
    mostWorkUs: number = Infinity,
  ): EdgeTraffic | undefined {
    const [from, to] = [this.ops[producer]!.devices, this.ops[consumer]!.devices];
    const { producer: producerOf, consumer: consumerOf, bytes: bytesOf, count } = geometry;
    const resources = this.resources;
    const loads = this.#routeLoads;
    const slowestToUs = new Float64Array(to.length);
    const slowestBackUs = new Float64Array(from.length);
    let [transfers, workUs] = [0, 0];
    for (let pair = 0; pair < count; pair++) {
      if (workUs > mostWorkUs) {
        loads.take();
        return undefined;
      }
      const producerPart = producerOf[pair]!;
      const consumerPart = consumerOf[pair]!;
      const here = from[producerPart]!;
      const there = to[consumerPart]!;
      if (here === there) continue;
      transfers += 1;
      const bytes = bytesOf[pair]! * resources.wireShare;
      const route = resources.route(here, there);
      const durationUs = resources.transferUs(route, bytes);
      loads.add(route, bytes);
      workUs += MESSAGE_US + resources.busyUs(route, bytes);
      if (durationUs > slowestToUs[consumerPart]!) slowestToUs[consumerPart] = durationUs;
      if (!hasGradient) continue;
      const back = resources.route(there, here);
      const backUs = resources.transferUs(back, bytes);
      loads.add(back, bytes);
      workUs += MESSAGE_US + resources.busyUs(back, bytes);
      if (backUs > slowestBackUs[producerPart]!) slowestBackUs[producerPart] = backUs;
    }
    return {
      transfers: hasGradient ? 2 * transfers : transfers,
      workUs,
      loads: this.#routeLoads.take(),
      activationUs: least(slowestToUs),
      gradientUs: least(slowestBackUs),
    };
  }

  /**
   * Adds an edge's transfers to the loads, or takes them away.
   * @param sign 1 to add, -1 to take away
   */
  loadEdge({ transfers, loads: { links, busyUs } }: EdgeTraffic, sign: 1 | -1): void {
    for (let i = 0; i < links.length; i++) this.loadUs[links[i]!]! += sign * busyUs[i]!;
    this.transfers += sign * transfers;
  }

  /** Makes the transfers of an edge, whose loads are counted already. */
  makeEdge(
    { id, producer, consumer, input, hasGradient }: Edge,
    geometry: EdgeGeometry,
    traffic: EdgeTraffic,
  ): EdgeState {
    const [from, to] = [this.ops[producer]!, this.ops[consumer]!];
    const { tasks, resources } = this;
    const activation = new Int32Array(geometry.count).fill(NONE);
    const gradient = new Int32Array(hasGradient ? geometry.count : 0).fill(NONE);
    const parts = [to.geometry.parts, from.geometry.parts] as const;
    const firstKey = firstTransferKey('activation', consumer, input, parts);
    const firstGradientKey = firstTransferKey('gradient', consumer, input, parts);
    for (let pair = 0; pair < geometry.count; pair++) {
      const [producerPart, consumerPart] = [geometry.producer[pair]!, geometry.consumer[pair]!];
      const [here, there] = [from.devices[producerPart]!, to.devices[consumerPart]!];
      if (here === there) continue;
      const bytes = geometry.bytes[pair]! * resources.wireShare;
      const after = transferTurn(consumerPart, producerPart, parts[1]) * KEY_PER_TURN + consumerPart;
      const route = resources.route(here, there);
      activation[pair] = tasks.add(TASK.activation, id, pair, firstKey + after, bytes, route);
      if (!hasGradient) continue;
      const back = resources.route(there, here);
      gradient[pair] = tasks.add(TASK.gradient, id, pair, firstGradientKey + after, bytes, back);
    }
    return { geometry, traffic, activation, gradient };
  }

  /**
   * Makes the collectives and updates of a parameter under its readers' states; undefined where there would be too many, or
   * their work is certain to be more than it matters for.
   */
  makeParameter({ id, tensor, readers }: Parameter, mostWorkUs: number = Infinity): ParameterState | undefined {
    const { shape } = this.#problem.training.graph.tensors[tensor]!;
    const geometry = this.#shardGeometries.get(
      tensor,
      shape,
      readers.map(({ op, input }) => ({ geometry: this.ops[op]!.geometry, input })),
    );
    if (geometry === undefined) return undefined;
    const collective = new Int32Array(geometry.count).fill(NONE);
    const fromShard = new Int32Array(geometry.count + 1);
    const algorithms: ParameterState['algorithms'][number][] = [];
    const updates: number[] = [];
    const holders: number[] = [];
    const shardOfUpdate: number[] = [];
    const updateOfRead = new Int32Array(geometry.readShard.length);
    const placed = readers.map(({ op }) => this.ops[op]!.devices);
    let workUs = 0;
    for (let shard = 0; shard < geometry.count; shard++) {
      if (workUs > mostWorkUs) {
        for (const made of [collective, updates]) eachTask(made, this.#remove);
        return undefined;
      }
      const bytes = geometry.bytes[shard]!;
      const devices = this.#shardHolders.of(geometry, shard, placed);
      if (devices.length > 1 && this.#microBatch === 'last') {
        const { durationUs, links, algorithm } = this.resources.allReduce(devices, bytes);
        algorithms[shard] = algorithm;
        const key = taskKey('collective', tensor, shard);
        collective[shard] = this.#add(TASK.collective, id, shard, key, durationUs, this.resources.setOf(links));
        workUs += durationUs * links.length;
      }
      const first = updates.length;
      for (const device of devices) {
        const key = taskKey('update', tensor, shard, 0, device);
        const durationUs = this.#updateDurationUs(bytes, device);
        updates.push(this.#add(TASK.update, id, updates.length, key, durationUs, device));
        workUs += durationUs;
        holders.push(device);
        shardOfUpdate.push(shard);
      }
      for (let k = geometry.fromShard[shard]!; k < geometry.fromShard[shard + 1]!; k++) {
        const read = geometry.reads[k]!;
        const device = placed[geometry.readReader[read]!]![geometry.readPart[read]!]!;
        updateOfRead[read] = first + this.#shardHolders.indexOf(device);
      }
      fromShard[shard + 1] = updates.length;
    }
    return {
      geometry,
      collective,
      algorithms,
      fromShard,
      updates: Int32Array.from(updates),
      holders: Int32Array.from(holders),
      updateOfRead,
      shardOfUpdate: Int32Array.from(shardOfUpdate),
    };
  }

  /** Does something with every task of an op. */
  eachOpTask({ forward, backward }: OpState, visit: (task: number) => void): void {
    eachPassTask(forward, visit);
    if (backward !== undefined) eachPassTask(backward, visit);
  }

  eachEdgeTask({ activation, gradient }: EdgeState, visit: (task: number) => void): void {
    eachTask(activation, visit);
    eachTask(gradient, visit);
  }

  eachParameterTask({ collective, updates }: ParameterState, visit: (task: number) => void): void {
    eachTask(collective, visit);
    eachTask(updates, visit);
  }

  /** Takes a task that is no transfer out of the loads, before it is removed or while a proposal does without it. */
  unload(task: number): void {
    this.#addLoad(task, -this.tasks.amount[task]!);
  }

  /** What all devices and links do in an iteration, and hosts for its messages. */
  get sumUs(): number {
    let sumUs = this.transfers * MESSAGE_US;
    for (let resource = 0; resource < this.loadUs.length; resource++) sumUs += this.loadUs[resource]!;
    return sumUs;
  }

  /** The same for each device. */
  get workUs(): number {
    return this.sumUs / this.resources.deviceCount;
  }

  /** Adds the loads up anew, which rounding has driven from their true values. */
  refreshLoads(): void {
    this.loadUs.fill(0);
    this.transfers = 0;
    const load = (task: number): void => this.#load(task);
    for (const state of this.ops) this.eachOpTask(state, load);
    for (const { traffic } of this.edges) this.loadEdge(traffic, 1);
    for (const state of this.parameters) this.eachParameterTask(state, load);
  }

  #makePass(
    direction: 'forward' | 'backward',
    op: number,
    geometry: OpGeometry,
    devices: readonly number[],
  ): PassTasks {
    const { parts, groups, groupOf } = geometry;
    const told = direction === 'forward' ? geometry.forwardStatisticsBytes : geometry.backwardStatisticsBytes;
    const main = new Int32Array(parts);
    const statistics = new Int32Array(parts).fill(NONE);
    let count = parts;
    for (let part = 0; part < parts; part++) {
      const device = this.#problem.cluster.devices[devices[part]!]!;
      const times = geometry.durations(device);
      const mainUs = direction === 'forward' ? times.forwardUs[part]! : times.backwardUs[part]!;
      main[part] = this.tasks.add(TASK[direction], op, part, taskKey(direction, op, part), mainUs, device.id);
      if (groups[groupOf[part]!]!.length === 1 || told[groupOf[part]!] === 0) continue;
      const firstUs = direction === 'forward' ? times.forwardStatisticsUs[part]! : times.backwardStatisticsUs[part]!;
      const [code, kind] = [TASK[`${direction}Statistics`], `${direction}Statistics`] as const;
      statistics[part] = this.tasks.add(code, op, part, taskKey(kind, op, part), firstUs, device.id);
      count += 1;
    }
    const gather = new Int32Array(groups.length).fill(NONE);
    for (let group = 0; group < groups.length; group++) {
      if (groups[group]!.length === 1 || told[group] === 0) continue;
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
    const members = [...new Set(Array.from(group, (part) => devices[part]!))].sort((a, b) => a - b);
    if (members.length === 1) return NONE;
    const perDevice = Math.ceil(group.length / members.length) * told[index]!;
    const { durationUs, links } = this.resources.allGather(members, perDevice);
    const key = taskKey(`${direction}Gather`, op, group[0]!);
    return this.#add(TASK[`${direction}Gather`], op, index, key, durationUs, this.resources.setOf(links));
  }

  #updateDurationUs(bytes: number, device: number): number {
    let byClass = this.#updateUs.get(bytes);
    if (byClass === undefined) {
      byClass = new Float64Array(1 + Math.max(...this.#deviceClasses)).fill(Number.NaN);
      this.#updateUs.set(bytes, byClass);
    }
    const deviceClass = this.#deviceClasses[device]!;
    if (Number.isNaN(byClass[deviceClass])) {
      const { training, costs, cluster } = this.#problem;
      const works = shardWork(bytes, training.accumulationSteps, this.#microBatch);
      byClass[deviceClass] = workUs(works, costs, cluster.devices[device]!);
    }
    return byClass[deviceClass]!;
  }

  readonly #remove = (task: number): void => this.tasks.remove(task);

  #add(...task: Parameters<TaskStore['add']>): number {
    const id = this.tasks.add(...task);
    this.#load(id);
    return id;
  }

  #load(task: number): void {
    this.#addLoad(task, this.tasks.amount[task]!);
  }

  #addLoad(task: number, durationUs: number): void {
    const { loadUs, resources } = this;
    const set = this.tasks.set[task]!;
    if (set < resources.deviceCount) {
      loadUs[set]! += durationUs;
      return;
    }
    const members = resources.sets[set]!;
    for (let i = 0; i < members.length; i++) loadUs[members[i]!]! += durationUs;
  }
}

function eachPassTask({ main, statistics, gather }: PassTasks, visit: (task: number) => void): void {
  eachTask(main, visit);
  eachTask(statistics, visit);
  eachTask(gather, visit);
}

function eachTask(tasks: Int32Array | readonly number[], visit: (task: number) => void): void {
  for (let i = 0; i < tasks.length; i++) if (tasks[i] !== NONE) visit(tasks[i]!);
}

function least(values: Float64Array): number {
  let smallest = Infinity;
  for (const value of values) smallest = Math.min(smallest, value);
  return smallest;
}
