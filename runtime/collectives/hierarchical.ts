import type { PieceMessages } from './messages.ts';
import { chunksOf } from './pieces.ts';
import { ringAllGather, ringAllReduce, ringReduceScatter, ringRounds } from './ring.ts';

/** Rounds of a hierarchy of rings. */
export function hierarchicalRounds(nodes: readonly (readonly number[])[]): number {
  return 2 * ringRounds(nodes[0]!) + 2 * (nodes.length - 1);
}

/**
 * Reduce-scatter within each node, an all-reduce of each run between the nodes, all-gather within each node.
 * @param runs one for each device of a node
 */
export async function hierarchical(
  messages: PieceMessages,
  nodes: readonly (readonly number[])[],
  runs: readonly Float32Array[],
): Promise<void> {
  const node = nodes.find((devices) => devices.includes(messages.self))!;
  const rank = node.indexOf(messages.self);
  const peers = nodes.map((devices) => devices[rank]!);
  await ringReduceScatter(messages, node, runs);
  const between = messages.after(ringRounds(node));
  await ringAllReduce(between, peers, chunksOf(runs[(rank + 1) % node.length]!, peers.length));
  await ringAllGather(between.after(2 * ringRounds(peers)), node, runs);
}
