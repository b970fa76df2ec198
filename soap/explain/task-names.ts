import type { Cluster } from '../cluster/cluster.ts';
import type { Graph } from '../graph/graph.ts';
import type { Task, TaskGraph } from '../tasks/task-graph.ts';

/** Which op a task is for: a transfer for the op that reads, a parameter's sum and updates for the first op that reads it. */
export function opsOfTasks({ tasks, shards }: TaskGraph, graph: Graph): Int32Array {
  const readers = new Map<number, number>();
  for (const { id, inputs } of graph.ops.toReversed()) for (const tensor of inputs) readers.set(tensor, id);
  return Int32Array.from(tasks, (task) => {
    switch (task.kind) {
      case 'forward':
      case 'backward':
      case 'gather':
        return task.op;
      case 'transfer':
        return task.consumer;
      case 'collective':
      case 'update':
        return readers.get(shards[task.shard]!.tensor)!;
    }
  });
}

/** What a task does, in words: `backward conv1`, `gradient of relu1 from node0/gpu1 to node0/gpu0`. */
export function taskInWords(task: Task, { shards }: TaskGraph, graph: Graph, cluster: Cluster): string {
  const opName = (op: number): string => graph.ops[op]!.name;
  switch (task.kind) {
    case 'forward':
    case 'backward':
      return `${task.kind}${task.stage === 'statistics' ? ' statistics of' : ''} ${opName(task.op)}`;
    case 'transfer': {
      const [from, to] = [cluster.devices[task.fromDevice]!.name, cluster.devices[task.toDevice]!.name];
      const what = task.payload === 'activation' ? 'result' : 'gradient';
      return `${what} of ${opName(task.producer)} from ${from} to ${to}`;
    }
    case 'gather':
      return `gather of the statistics of ${opName(task.op)}, ${task.direction}`;
    case 'collective':
      return `sum of the gradient of ${graph.tensors[shards[task.shard]!.tensor]!.name} over ${task.devices.length} devices (${task.algorithm})`;
    case 'update':
      return `update of ${graph.tensors[shards[task.shard]!.tensor]!.name}`;
  }
}
