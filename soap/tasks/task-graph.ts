import type { Region } from '../region/region.ts';

interface TaskBase {
  /** Index in {@link TaskGraph.tasks}; an artefact of building, never used to break ties. */
  readonly id: number;
  /** Total order that does not depend on how the graph was built; breaks ties in the simulation. */
  readonly key: number;
  /** Microseconds. */
  readonly durationUs: number;
  /**
   * Device ids, and `deviceCount + link id` for links; held from start to end but by transfers, which hold each link of
   * their route as long as their bytes pass.
   */
  readonly resources: readonly number[];
  readonly predecessors: readonly number[];
  readonly successors: readonly number[];
}

/** A part of an op, forward or backward. */
export interface ComputeTask extends TaskBase {
  readonly kind: 'forward' | 'backward';
  /** `statistics` where the part must first tell others of its op something; `main` is the rest, or all of it. */
  readonly stage: 'statistics' | 'main';
  readonly op: number;
  readonly part: number;
  readonly device: number;
}

/** A link on the way of a transfer. */
export interface Hop {
  /** `deviceCount + link id`. */
  readonly resource: number;
  /** Microseconds that the bytes take to get into the link, which it is held for. */
  readonly holdUs: number;
  /** Microseconds that each byte takes through it. */
  readonly latencyUs: number;
}

/** Data that one device computes and another needs. `durationUs` is what it takes alone. */
export interface TransferTask extends TaskBase {
  readonly kind: 'transfer';
  /** The links of its route in order; `resources` are theirs. */
  readonly hops: readonly Hop[];
  /** `activation` goes with the forward pass, `gradient` the other way in the backward pass. */
  readonly payload: 'activation' | 'gradient';
  readonly tensor: number;
  /** In coordinates of the whole tensor. */
  readonly region: Region;
  /** Of the message. */
  readonly bytes: number;
  readonly fromDevice: number;
  readonly toDevice: number;
  /** The op that produces the tensor, and the part of it. */
  readonly producer: number;
  readonly producerPart: number;
  /** The op that reads it, the part, and which of its inputs. */
  readonly consumer: number;
  readonly consumerPart: number;
  readonly consumerInput: number;
}

/** All-gather of the statistics of a group of parts of one op. */
export interface GatherTask extends TaskBase {
  readonly kind: 'gather';
  readonly direction: 'forward' | 'backward';
  readonly op: number;
  /** Indices of the group's parts, in the order in which their statistics are gathered. */
  readonly parts: readonly number[];
  /** Their devices, each once. */
  readonly devices: readonly number[];
  /** What one part hands out. */
  readonly bytes: number;
}

/**
 * `ring`: reduce-scatter and all-gather around a ring. `exchange`: every device sends its whole gradient to every other and
 * sums what it gets in device order; more bytes, but the latency of a single message. `hierarchical`: reduce-scatter within
 * each node, a ring between the nodes for each chunk, all-gather within each node. `owner`: the devices of a node send to its
 * first one, these to the first of all, each summing in order; the result goes back the same way.
 */
export type CollectiveAlgorithm = 'ring' | 'exchange' | 'hierarchical' | 'owner';

/** Sum of a parameter shard's gradients over the devices that hold it. */
export interface CollectiveTask extends TaskBase {
  readonly kind: 'collective';
  readonly algorithm: CollectiveAlgorithm;
  /** Whether the devices read each other's gradients where they lie, where there is memory for it; else they send them. */
  readonly isRead: boolean;
  /** Index in {@link TaskGraph.shards}. */
  readonly shard: number;
  /** Ring order, which keeps the devices of a node together. */
  readonly devices: readonly number[];
  /** The same devices, node by node. */
  readonly nodes: readonly (readonly number[])[];
  /** Size of the shard, and of its values in messages. */
  readonly bytes: number;
  readonly messageBytes: number;
}

/**
 * The optimizer's step on one device's copy of a shard; of a micro-batch before the last, the sum of its gradient and those
 * before.
 */
export interface UpdateTask extends TaskBase {
  readonly kind: 'update';
  readonly shard: number;
  readonly device: number;
}

export type Task = ComputeTask | TransferTask | GatherTask | CollectiveTask | UpdateTask;

/** A box of a parameter that lives as a whole on every device that reads any of it. */
export interface ParameterShard {
  readonly id: number;
  readonly tensor: number;
  readonly region: Region;
  /** Devices that hold it, ascending. */
  readonly devices: readonly number[];
  /** Whether it is trained: one of a frozen parameter has no collective and no updates. */
  readonly isTrained: boolean;
}

/**
 * The task graph of (graph, strategy, cluster): what the simulator times and the runtime executes (paper, section 5.1).
 * One training iteration, of a micro-batch where a step has several: forward and backward tasks of every part, transfers
 * between devices, one collective per shared parameter shard that is trained, and an update of it per device.
 */
export interface TaskGraph {
  readonly tasks: readonly Task[];
  readonly shards: readonly ParameterShard[];
  readonly deviceCount: number;
  readonly linkCount: number;
}
