import type { Cluster } from '../../cluster/cluster.ts';
import type { CostSource } from '../../cost/cost-source.ts';
import type { TrainingGraph } from '../../training/loss.ts';
import { ShardGeometries } from '../../tasks/geometry/shard-geometry.ts';
import { taskKey } from '../../tasks/task-key.ts';
import type { GradientHandling, MicroBatch } from '../../tasks/gradient-work.ts';
import { shardWork, workUs } from '../../tasks/gradient-work.ts';
import type { Loads } from './loads.ts';
import type { Resources } from './resources.ts';
import { ShardHolders } from './shard-holders.ts';
import type { OpState, ParameterState } from './states.ts';
import { eachTask, NONE } from './states.ts';
import type { TaskStore } from './task-store.ts';
import { TASK } from './task-store.ts';
import type { Parameter } from './wiring.ts';

/** What the tasks of parameters are made of. */
interface ParameterTasksOptions {
  readonly training: TrainingGraph;
  readonly cluster: Cluster;
  readonly costs: CostSource;
  readonly handling: GradientHandling;
  readonly microBatch: MicroBatch;
  /** By device: equal for devices that take the same time for everything. */
  readonly deviceClasses: Int32Array;
  readonly resources: Resources;
  readonly tasks: TaskStore;
  readonly loads: Loads;
  /** By id, as they are now. */
  readonly ops: readonly OpState[];
}

/** The sums of gradients, and the updates of parameters. */
export class ParameterTasks {
  readonly #options: ParameterTasksOptions;
  readonly #geometries = new ShardGeometries();
  readonly #holders: ShardHolders;
  /** By bytes and class of device: of those that hold a shard, the first one, and the others. */
  readonly #updateUs = [new Map<number, Float64Array>(), new Map<number, Float64Array>()] as const;

  constructor(options: ParameterTasksOptions) {
    this.#options = options;
    this.#holders = new ShardHolders(options.cluster.devices.length);
  }

  /**
   * Makes the collectives and updates of a parameter under its readers' states; undefined where there would be too many, or
   * their work is certain to be more than it matters for.
   */
  make({ id, tensor, isTrained, readers }: Parameter, mostWorkUs: number = Infinity): ParameterState | undefined {
    const { training, ops, resources, microBatch, tasks } = this.#options;
    const { shape } = training.graph.tensors[tensor]!;
    const geometry = this.#geometries.get(
      tensor,
      shape,
      readers.map(({ op, input }) => ({ geometry: ops[op]!.geometry, input })),
    );
    if (geometry === undefined) return undefined;
    const collective = new Int32Array(geometry.count).fill(NONE);
    const fromShard = new Int32Array(geometry.count + 1);
    const algorithms: ParameterState['algorithms'][number][] = [];
    const updates: number[] = [];
    const holders: number[] = [];
    const shardOfUpdate: number[] = [];
    const updateOfRead = new Int32Array(geometry.readShard.length);
    const placed = readers.map(({ op }) => ops[op]!.devices);
    let workUs = 0;
    for (let shard = 0; shard < geometry.count; shard++) {
      if (workUs > mostWorkUs) {
        for (const made of [collective, updates]) eachTask(made, (task) => tasks.remove(task));
        return undefined;
      }
      const bytes = geometry.bytes[shard]!;
      const devices = this.#holders.of(geometry, shard, placed);
      if (isTrained && devices.length > 1 && microBatch === 'last') {
        const { durationUs, links, algorithm } = resources.allReduce(devices, bytes);
        algorithms[shard] = algorithm;
        const key = taskKey('collective', tensor, shard);
        collective[shard] = this.#add(TASK.collective, id, shard, key, durationUs, resources.setOf(links));
        workUs += durationUs * links.length;
      }
      const first = updates.length;
      for (const device of devices) {
        if (isTrained) {
          const key = taskKey('update', tensor, shard, 0, device);
          const durationUs = this.#updateDurationUs(bytes, device, device === devices[0]);
          updates.push(this.#add(TASK.update, id, updates.length, key, durationUs, device));
          workUs += durationUs;
        } else updates.push(NONE);
        holders.push(device);
        shardOfUpdate.push(shard);
      }
      for (let k = geometry.fromShard[shard]!; k < geometry.fromShard[shard + 1]!; k++) {
        const read = geometry.reads[k]!;
        const device = placed[geometry.readReader[read]!]![geometry.readPart[read]!]!;
        updateOfRead[read] = first + this.#holders.indexOf(device);
      }
      fromShard[shard + 1] = updates.length;
    }
    return {
      isTrained,
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

  #updateDurationUs(bytes: number, device: number, isFirst: boolean): number {
    const { handling, costs, cluster, microBatch, deviceClasses } = this.#options;
    const known = this.#updateUs[isFirst ? 0 : 1];
    let byClass = known.get(bytes);
    if (byClass === undefined) {
      byClass = new Float64Array(1 + Math.max(...deviceClasses)).fill(Number.NaN);
      known.set(bytes, byClass);
    }
    const deviceClass = deviceClasses[device]!;
    if (Number.isNaN(byClass[deviceClass])) {
      const works = shardWork(bytes, handling, microBatch, isFirst);
      byClass[deviceClass] = workUs(works, costs, cluster.devices[device]!);
    }
    return byClass[deviceClass]!;
  }

  #add(...task: Parameters<TaskStore['add']>): number {
    const { tasks, loads } = this.#options;
    const id = tasks.add(...task);
    loads.count(id, 1);
    return id;
  }
}
