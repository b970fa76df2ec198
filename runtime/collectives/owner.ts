import type { PieceMessages } from './messages.ts';

/** Rounds of a sum at an owner. */
export const OWNER_ROUNDS = 4;

/** The first device of a node sums what the others send it, in their order; the first of all, what these send. */
export async function throughOwner(
  messages: PieceMessages,
  nodes: readonly (readonly number[])[],
  data: Float32Array,
): Promise<void> {
  const node = nodes.find((devices) => devices.includes(messages.self))!;
  const leaders = nodes.map(([leader]) => leader!);
  await sumAtFirst(messages, node, data, 0);
  if (messages.self === node[0]) {
    await sumAtFirst(messages, leaders, data, 1);
    if (messages.self === leaders[0]) messages.round(data);
    await sendFromFirst(messages, leaders, data, 2);
  }
  await sendFromFirst(messages, node, data, 3);
}

async function sumAtFirst(
  messages: PieceMessages,
  [first, ...others]: readonly number[],
  data: Float32Array,
  round: number,
): Promise<void> {
  if (messages.self !== first) return messages.send(first!, round, data);
  for (const device of others) await messages.add(device, round, data);
}

async function sendFromFirst(
  messages: PieceMessages,
  [first, ...others]: readonly number[],
  data: Float32Array,
  round: number,
): Promise<void> {
  if (messages.self !== first) await messages.copy(first!, round, data);
  else await Promise.all(others.map((device) => messages.send(device, round, data)));
}
