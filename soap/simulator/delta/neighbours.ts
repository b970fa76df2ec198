import type { Network } from './network.ts';
import type { OpState, PassTasks } from './states.ts';
import { NONE } from './states.ts';
import { grown, TASK } from './task-store.ts';

/** A list of tasks that is filled again and again without making garbage. */
export class TaskList {
  ids: Int32Array = new Int32Array(256);
  count: number = 0;

  push(task: number): void {
    if (this.count === this.ids.length) this.ids = grown(this.ids, new Int32Array(2 * this.count));
    this.ids[this.count++] = task;
  }
}

/** Lists the tasks that wait for a task; one that waits for it twice, twice. */
export function listSuccessors(network: Network, task: number, list: TaskList): void {
  list.count = 0;
  const a = network.tasks.a[task]!;
  const b = network.tasks.b[task]!;
  switch (network.tasks.kind[task]!) {
    case TASK.forward:
      return afterForward(network, a, b, list);
    case TASK.backward:
      return afterBackward(network, a, b, list);
    case TASK.forwardStatistics:
      return afterStatistics(network.ops[a]!, network.ops[a]!.forward, b, list);
    case TASK.backwardStatistics:
      return afterStatistics(network.ops[a]!, network.ops[a]!.backward!, b, list);
    case TASK.forwardGather:
      return listMembers(network.ops[a]!, network.ops[a]!.forward.main, b, list);
    case TASK.backwardGather:
      return listMembers(network.ops[a]!, network.ops[a]!.backward!.main, b, list);
    case TASK.activation: {
      const part = network.edges[a]!.geometry.consumer[b]!;
      return list.push(firstOf(network.ops[network.wiring.edges[a]!.consumer]!.forward, part));
    }
    case TASK.gradient: {
      const part = network.edges[a]!.geometry.producer[b]!;
      return list.push(firstOf(network.ops[network.wiring.edges[a]!.producer]!.backward!, part));
    }
    case TASK.collective: {
      const { fromShard, updates } = network.parameters[a]!;
      for (let k = fromShard[b]!; k < fromShard[b + 1]!; k++) list.push(updates[k]!);
      return;
    }
  }
}

/** Lists the tasks that a task waits for; one that it waits for twice, twice. */
export function listPredecessors(network: Network, task: number, list: TaskList): void {
  list.count = 0;
  const a = network.tasks.a[task]!;
  const b = network.tasks.b[task]!;
  const { ops } = network;
  switch (network.tasks.kind[task]!) {
    case TASK.forward:
      if (ops[a]!.forward.statistics[b] === NONE) beforeForward(network, a, b, list);
      else beforeStagedMain(ops[a]!, ops[a]!.forward, b, list);
      return;
    case TASK.backward:
      if (ops[a]!.backward!.statistics[b] === NONE) beforeBackward(network, a, b, list);
      else beforeStagedMain(ops[a]!, ops[a]!.backward!, b, list);
      return;
    case TASK.forwardStatistics:
      return beforeForward(network, a, b, list);
    case TASK.backwardStatistics:
      return beforeBackward(network, a, b, list);
    case TASK.forwardGather:
      return listMembers(ops[a]!, ops[a]!.forward.statistics, b, list);
    case TASK.backwardGather:
      return listMembers(ops[a]!, ops[a]!.backward!.statistics, b, list);
    case TASK.activation: {
      const { producer } = network.wiring.edges[a]!;
      return list.push(ops[producer]!.forward.main[network.edges[a]!.geometry.producer[b]!]!);
    }
    case TASK.gradient: {
      const { consumer } = network.wiring.edges[a]!;
      return list.push(ops[consumer]!.backward!.main[network.edges[a]!.geometry.consumer[b]!]!);
    }
    case TASK.collective:
      return listReaders(network, a, b, NONE, list);
    case TASK.update: {
      const { collective, shardOfUpdate } = network.parameters[a]!;
      const shard = shardOfUpdate[b]!;
      if (collective[shard] === NONE) listReaders(network, a, shard, b, list);
      else list.push(collective[shard]!);
      return;
    }
  }
}

function afterForward(network: Network, op: number, part: number, list: TaskList): void {
  const edges = network.wiring.edgesOut[op]!;
  for (let i = 0; i < edges.length; i++) {
    const { id, consumer } = edges[i]!;
    const { geometry, activation } = network.edges[id]!;
    const { fromProducer, pairs, consumer: consumerOf } = geometry;
    const to = network.ops[consumer]!.forward;
    const end = fromProducer[part + 1]!;
    for (let k = fromProducer[part]!; k < end; k++) {
      const pair = pairs[k]!;
      const transfer = activation[pair]!;
      list.push(transfer === NONE ? firstOf(to, consumerOf[pair]!) : transfer);
    }
  }
  const { geometry, backward } = network.ops[op]!;
  if (backward !== undefined && geometry.hasBackward[part] === 1) list.push(firstOf(backward, part));
}

function afterBackward(network: Network, op: number, part: number, list: TaskList): void {
  const edges = network.wiring.edgesIn[op]!;
  for (let i = 0; i < edges.length; i++) {
    const { id, producer, hasGradient } = edges[i]!;
    if (!hasGradient) continue;
    const { geometry, gradient } = network.edges[id]!;
    const { fromConsumer, producer: producerOf } = geometry;
    const { backward, geometry: to } = network.ops[producer]!;
    const end = fromConsumer[part + 1]!;
    for (let pair = fromConsumer[part]!; pair < end; pair++) {
      if (to.hasBackward[producerOf[pair]!] === 0) continue;
      const transfer = gradient[pair]!;
      list.push(transfer === NONE ? firstOf(backward!, producerOf[pair]!) : transfer);
    }
  }
  const reads = network.wiring.reads[op]!;
  for (let i = 0; i < reads.length; i++) {
    const { parameter, reader } = reads[i]!;
    const { isTrained, geometry, collective, updates, updateOfRead } = network.parameters[parameter]!;
    if (!isTrained) continue;
    const fromPart = geometry.fromPart[reader]!;
    const end = fromPart[part + 1]!;
    for (let read = fromPart[part]!; read < end; read++) {
      const sum = collective[geometry.readShard[read]!]!;
      list.push(sum === NONE ? updates[updateOfRead[read]!]! : sum);
    }
  }
}

function beforeForward(network: Network, op: number, part: number, list: TaskList): void {
  const edges = network.wiring.edgesIn[op]!;
  for (let i = 0; i < edges.length; i++) {
    const { id, producer } = edges[i]!;
    const { geometry, activation } = network.edges[id]!;
    const { fromConsumer, producer: producerOf } = geometry;
    const from = network.ops[producer]!.forward.main;
    const end = fromConsumer[part + 1]!;
    for (let pair = fromConsumer[part]!; pair < end; pair++) {
      const transfer = activation[pair]!;
      list.push(transfer === NONE ? from[producerOf[pair]!]! : transfer);
    }
  }
}

function beforeBackward(network: Network, op: number, part: number, list: TaskList): void {
  list.push(network.ops[op]!.forward.main[part]!);
  const edges = network.wiring.edgesOut[op]!;
  for (let i = 0; i < edges.length; i++) {
    const { id, consumer, hasGradient } = edges[i]!;
    if (!hasGradient) continue;
    const { geometry, gradient } = network.edges[id]!;
    const { fromProducer, pairs, consumer: consumerOf } = geometry;
    const from = network.ops[consumer]!.backward!.main;
    const end = fromProducer[part + 1]!;
    for (let k = fromProducer[part]!; k < end; k++) {
      const pair = pairs[k]!;
      const transfer = gradient[pair]!;
      list.push(transfer === NONE ? from[consumerOf[pair]!]! : transfer);
    }
  }
}

function afterStatistics({ geometry }: OpState, pass: PassTasks, part: number, list: TaskList): void {
  const group = geometry.groupOf[part]!;
  const gather = pass.gather[group]!;
  if (gather === NONE) for (const member of geometry.groups[group]!) list.push(pass.main[member]!);
  else list.push(gather);
}

function beforeStagedMain({ geometry }: OpState, pass: PassTasks, part: number, list: TaskList): void {
  const group = geometry.groupOf[part]!;
  const gather = pass.gather[group]!;
  if (gather === NONE) for (const member of geometry.groups[group]!) list.push(pass.statistics[member]!);
  else list.push(gather);
}

function listMembers({ geometry }: OpState, tasks: Int32Array, group: number, list: TaskList): void {
  for (const member of geometry.groups[group]!) list.push(tasks[member]!);
}

/** Lists the backward tasks that add to a shard's gradient; only those of one update's device unless that is NONE. */
function listReaders(network: Network, parameter: number, shard: number, update: number, list: TaskList): void {
  const { readers } = network.wiring.parameters[parameter]!;
  const { geometry, updateOfRead } = network.parameters[parameter]!;
  const { reads, readReader, readPart, fromShard } = geometry;
  const end = fromShard[shard + 1]!;
  for (let k = fromShard[shard]!; k < end; k++) {
    const read = reads[k]!;
    if (update !== NONE && updateOfRead[read] !== update) continue;
    list.push(network.ops[readers[readReader[read]!]!.op]!.backward!.main[readPart[read]!]!);
  }
}

/** Where a part of a pass begins. */
export function firstOf({ main, statistics }: PassTasks, part: number): number {
  const first = statistics[part]!;
  return first === NONE ? main[part]! : first;
}
