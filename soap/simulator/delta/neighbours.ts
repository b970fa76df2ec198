import type { Network } from './network.ts';
import type { OpState, PassTasks } from './states.ts';
import { NONE } from './states.ts';
import { TASK } from './task-store.ts';

/** What is done with each neighbour of a task. */
export interface Visitor {
  visit(task: number): void;
}

/** Visits the tasks that wait for a task; one that waits for it twice, twice. */
export function visitSuccessors(network: Network, task: number, visitor: Visitor): void {
  const a = network.tasks.a[task]!;
  const b = network.tasks.b[task]!;
  switch (network.tasks.kind[task]!) {
    case TASK.forward:
      return afterForward(network, a, b, visitor);
    case TASK.backward:
      return afterBackward(network, a, b, visitor);
    case TASK.forwardStatistics:
      return afterStatistics(network.ops[a]!, network.ops[a]!.forward, b, visitor);
    case TASK.backwardStatistics:
      return afterStatistics(network.ops[a]!, network.ops[a]!.backward!, b, visitor);
    case TASK.forwardGather:
      return visitMembers(network.ops[a]!, network.ops[a]!.forward.main, b, visitor);
    case TASK.backwardGather:
      return visitMembers(network.ops[a]!, network.ops[a]!.backward!.main, b, visitor);
    case TASK.activation: {
      const part = network.edges[a]!.geometry.consumer[b]!;
      return visitor.visit(firstOf(network.ops[network.wiring.edges[a]!.consumer]!.forward, part));
    }
    case TASK.gradient: {
      const part = network.edges[a]!.geometry.producer[b]!;
      return visitor.visit(firstOf(network.ops[network.wiring.edges[a]!.producer]!.backward!, part));
    }
    case TASK.collective: {
      const { fromShard, updates } = network.parameters[a]!;
      for (let k = fromShard[b]!; k < fromShard[b + 1]!; k++) visitor.visit(updates[k]!);
      return;
    }
  }
}

/** Visits the tasks that a task waits for; one that it waits for twice, twice. */
export function visitPredecessors(network: Network, task: number, visitor: Visitor): void {
  const a = network.tasks.a[task]!;
  const b = network.tasks.b[task]!;
  const { ops } = network;
  switch (network.tasks.kind[task]!) {
    case TASK.forward:
      if (ops[a]!.forward.statistics[b] === NONE) beforeForward(network, a, b, visitor);
      else beforeStagedMain(ops[a]!, ops[a]!.forward, b, visitor);
      return;
    case TASK.backward:
      if (ops[a]!.backward!.statistics[b] === NONE) beforeBackward(network, a, b, visitor);
      else beforeStagedMain(ops[a]!, ops[a]!.backward!, b, visitor);
      return;
    case TASK.forwardStatistics:
      return beforeForward(network, a, b, visitor);
    case TASK.backwardStatistics:
      return beforeBackward(network, a, b, visitor);
    case TASK.forwardGather:
      return visitMembers(ops[a]!, ops[a]!.forward.statistics, b, visitor);
    case TASK.backwardGather:
      return visitMembers(ops[a]!, ops[a]!.backward!.statistics, b, visitor);
    case TASK.activation: {
      const { producer } = network.wiring.edges[a]!;
      return visitor.visit(ops[producer]!.forward.main[network.edges[a]!.geometry.producer[b]!]!);
    }
    case TASK.gradient: {
      const { consumer } = network.wiring.edges[a]!;
      return visitor.visit(ops[consumer]!.backward!.main[network.edges[a]!.geometry.consumer[b]!]!);
    }
    case TASK.collective:
      return visitReaders(network, a, b, NONE, visitor);
    case TASK.update: {
      const { collective, shardOfUpdate } = network.parameters[a]!;
      const shard = shardOfUpdate[b]!;
      if (collective[shard] === NONE) visitReaders(network, a, shard, b, visitor);
      else visitor.visit(collective[shard]!);
      return;
    }
  }
}

function afterForward(network: Network, op: number, part: number, visitor: Visitor): void {
  const { edgesOut } = network.wiring;
  for (const { id, consumer } of edgesOut[op]!) {
    const { geometry, activation } = network.edges[id]!;
    const to = network.ops[consumer]!.forward;
    for (let k = geometry.fromProducer[part]!; k < geometry.fromProducer[part + 1]!; k++) {
      const pair = geometry.pairs[k]!;
      const transfer = activation[pair]!;
      visitor.visit(transfer === NONE ? firstOf(to, geometry.consumer[pair]!) : transfer);
    }
  }
  const { backward } = network.ops[op]!;
  if (backward !== undefined) visitor.visit(firstOf(backward, part));
}

function afterBackward(network: Network, op: number, part: number, visitor: Visitor): void {
  for (const { id, producer, hasGradient } of network.wiring.edgesIn[op]!) {
    if (!hasGradient) continue;
    const { geometry, gradient } = network.edges[id]!;
    const to = network.ops[producer]!.backward!;
    for (let pair = geometry.fromConsumer[part]!; pair < geometry.fromConsumer[part + 1]!; pair++) {
      const transfer = gradient[pair]!;
      visitor.visit(transfer === NONE ? firstOf(to, geometry.producer[pair]!) : transfer);
    }
  }
  for (const { parameter, reader } of network.wiring.reads[op]!) {
    const { geometry, collective, updates, updateOfRead } = network.parameters[parameter]!;
    const fromPart = geometry.fromPart[reader]!;
    for (let read = fromPart[part]!; read < fromPart[part + 1]!; read++) {
      const sum = collective[geometry.readShard[read]!]!;
      visitor.visit(sum === NONE ? updates[updateOfRead[read]!]! : sum);
    }
  }
}

function beforeForward(network: Network, op: number, part: number, visitor: Visitor): void {
  for (const { id, producer } of network.wiring.edgesIn[op]!) {
    const { geometry, activation } = network.edges[id]!;
    const from = network.ops[producer]!.forward.main;
    for (let pair = geometry.fromConsumer[part]!; pair < geometry.fromConsumer[part + 1]!; pair++) {
      const transfer = activation[pair]!;
      visitor.visit(transfer === NONE ? from[geometry.producer[pair]!]! : transfer);
    }
  }
}

function beforeBackward(network: Network, op: number, part: number, visitor: Visitor): void {
  visitor.visit(network.ops[op]!.forward.main[part]!);
  for (const { id, consumer, hasGradient } of network.wiring.edgesOut[op]!) {
    if (!hasGradient) continue;
    const { geometry, gradient } = network.edges[id]!;
    const from = network.ops[consumer]!.backward!.main;
    for (let k = geometry.fromProducer[part]!; k < geometry.fromProducer[part + 1]!; k++) {
      const pair = geometry.pairs[k]!;
      const transfer = gradient[pair]!;
      visitor.visit(transfer === NONE ? from[geometry.consumer[pair]!]! : transfer);
    }
  }
}

function afterStatistics({ geometry }: OpState, pass: PassTasks, part: number, visitor: Visitor): void {
  const group = geometry.groupOf[part]!;
  const gather = pass.gather[group]!;
  if (gather !== NONE) visitor.visit(gather);
  else for (const member of geometry.groups[group]!) visitor.visit(pass.main[member]!);
}

function beforeStagedMain({ geometry }: OpState, pass: PassTasks, part: number, visitor: Visitor): void {
  const group = geometry.groupOf[part]!;
  const gather = pass.gather[group]!;
  if (gather !== NONE) visitor.visit(gather);
  else for (const member of geometry.groups[group]!) visitor.visit(pass.statistics[member]!);
}

function visitMembers({ geometry }: OpState, tasks: Int32Array, group: number, visitor: Visitor): void {
  for (const member of geometry.groups[group]!) visitor.visit(tasks[member]!);
}

/** Visits the backward tasks that add to a shard's gradient; only those of one update's device unless that is NONE. */
function visitReaders(network: Network, parameter: number, shard: number, update: number, visitor: Visitor): void {
  const { readers } = network.wiring.parameters[parameter]!;
  const { geometry, updateOfRead } = network.parameters[parameter]!;
  for (let k = geometry.fromShard[shard]!; k < geometry.fromShard[shard + 1]!; k++) {
    const read = geometry.reads[k]!;
    if (update !== NONE && updateOfRead[read] !== update) continue;
    const { op } = readers[geometry.readReader[read]!]!;
    visitor.visit(network.ops[op]!.backward!.main[geometry.readPart[read]!]!);
  }
}

/** Where a part of a pass begins. */
export function firstOf({ main, statistics }: PassTasks, part: number): number {
  const first = statistics[part]!;
  return first === NONE ? main[part]! : first;
}
