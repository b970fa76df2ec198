import type { CollectiveAlgorithm } from '../../tasks/task-graph.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import type { OpGeometry } from '../../tasks/geometry/op-geometry.ts';
import type { ShardGeometry } from '../../tasks/geometry/shard-geometry.ts';
import type { EdgeDelay } from './delays.ts';
import type { LinkLoads } from './route-loads.ts';

/** In place of a task's number where there is no such task. */
export const NONE: number = -1;

/** Tasks of one direction of an op, by number. */
export interface PassTasks {
  /** By part; NONE where a part has no backward task. */
  readonly main: Int32Array;
  /** By part; NONE where the part goes straight to its main task. */
  readonly statistics: Int32Array;
  /** By group; NONE where no message is needed. */
  readonly gather: Int32Array;
  /** How many there are in all. */
  readonly count: number;
}

/** Where an op's parts are. */
export interface OpPlacement {
  readonly geometry: OpGeometry;
  /** By part. */
  readonly devices: readonly number[];
}

/** An op under its configuration, with its tasks. */
export interface OpState extends OpPlacement {
  readonly forward: PassTasks;
  /** Undefined where the op has no backward pass. */
  readonly backward: PassTasks | undefined;
}

/** The tasks of an op that has none yet. */
export const NO_TASKS: PassTasks = {
  main: new Int32Array(0),
  statistics: new Int32Array(0),
  gather: new Int32Array(0),
  count: 0,
};

/** Tasks of an op in all. */
export function taskCount({ forward, backward }: OpState): number {
  return forward.count + (backward?.count ?? 0);
}

/** What the transfers of an edge come to. */
export interface EdgeTraffic extends EdgeDelay {
  readonly transfers: number;
  /** What they keep links and hosts busy for in all. */
  readonly workUs: number;
  readonly loads: LinkLoads;
  /** What messages have beyond what one may have, in all. */
  readonly oversizedBytes: number;
}

/** An edge between two op states, with its transfers. */
export interface EdgeState {
  readonly geometry: EdgeGeometry;
  readonly traffic: EdgeTraffic;
  /** By pair; NONE where both parts are on one device. */
  readonly activation: Int32Array;
  /** The same, and NONE where the producer part has no backward task; empty where no gradient goes back. */
  readonly gradient: Int32Array;
}

/** A parameter under its readers' states, with its collectives and updates. */
export interface ParameterState {
  /** Without it there are no collectives and updates: all of them are NONE. */
  readonly isTrained: boolean;
  readonly geometry: ShardGeometry;
  /** By shard; NONE where one device holds it. */
  readonly collective: Int32Array;
  /** By shard that has a collective: how it is done. */
  readonly algorithms: readonly (CollectiveAlgorithm | undefined)[];
  /** Updates of shard s are `updates[k]`, on devices `holders[k]`, for k from `fromShard[s]` to `fromShard[s + 1]`. */
  readonly fromShard: Int32Array;
  readonly updates: Int32Array;
  readonly holders: Int32Array;
  /** By read of the geometry: the index among the updates of the one on the reader's device. */
  readonly updateOfRead: Int32Array;
  /** By update: its shard. */
  readonly shardOfUpdate: Int32Array;
}

/** Does something with every task of a list. */
export function eachTask(tasks: Int32Array | readonly number[], visit: (task: number) => void): void {
  for (let i = 0; i < tasks.length; i++) if (tasks[i] !== NONE) visit(tasks[i]!);
}

/** The same with every task of an op. */
export function eachOpTask({ forward, backward }: OpState, visit: (task: number) => void): void {
  eachPassTask(forward, visit);
  if (backward !== undefined) eachPassTask(backward, visit);
}

function eachPassTask({ main, statistics, gather }: PassTasks, visit: (task: number) => void): void {
  eachTask(main, visit);
  eachTask(statistics, visit);
  eachTask(gather, visit);
}

/** The same with every transfer of an edge. */
export function eachEdgeTask({ activation, gradient }: EdgeState, visit: (task: number) => void): void {
  eachTask(activation, visit);
  eachTask(gradient, visit);
}

/** The same with every sum and update of a parameter. */
export function eachParameterTask({ collective, updates }: ParameterState, visit: (task: number) => void): void {
  eachTask(collective, visit);
  eachTask(updates, visit);
}
