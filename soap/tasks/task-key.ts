import { MAX_PARTS } from '../strategy/partition.ts';

/**
 * Keys that order tasks without regard to how the task graph was built. A key packs (kind, id, part, input, other) into the
 * 53 integer bits of a number, most significant first.
 */
const KIND_RANK = {
  forward: 0,
  backward: 1,
  activation: 2,
  gradient: 3,
  collective: 4,
  update: 5,
  forwardStatistics: 6,
  backwardStatistics: 7,
  forwardGather: 8,
  backwardGather: 9,
} as const;

/** Bounds of the other packed fields, beside that of parts; graphs beyond them are refused by {@link taskKey}. */
const MAX_ID = 2 ** 15;
const MAX_INPUT = 2 ** 6;

/**
 * The key of a task.
 * @param id op id of compute and gather tasks, consumer's op id of transfers, tensor id of collectives and updates
 * @param part part index, that of the first part of a group, turn of a transfer, or index of the shard within its tensor
 * @param input which input of the consumer a transfer feeds
 * @param other consumer part of a transfer, device of an update
 */
export function taskKey(kind: keyof typeof KIND_RANK, id: number, part: number, input = 0, other = 0): number {
  if (id >= MAX_ID || part >= MAX_PARTS || input >= MAX_INPUT || other >= MAX_PARTS) {
    throw new RangeError(
      `a task (${kind} ${id}, part ${part}, input ${input}, other ${other}) is beyond what a key can hold; ` +
        `expected at most ${MAX_ID} ops, ${MAX_PARTS} parts or devices and ${MAX_INPUT} inputs`,
    );
  }
  return (((KIND_RANK[kind] * MAX_ID + id) * MAX_PARTS + part) * MAX_INPUT + input) * MAX_PARTS + other;
}

/** What the next turn, and the next part, add to a key. */
export const KEY_PER_TURN: number = MAX_INPUT * MAX_PARTS;

/**
 * The key of a transfer. Where many are ready at once, those go first in which every part sends to the part of its own number,
 * then those in which each sends to the next one, and so on: so that the transfers of each turn have different ends, as in
 * an all-to-all exchange, and do not wait for each other.
 * @param producers how many parts the producer has
 */
export function transferKey(
  kind: 'activation' | 'gradient',
  consumer: { readonly op: number; readonly index: number },
  input: number,
  producerPart: number,
  producers: number,
): number {
  return taskKey(kind, consumer.op, transferTurn(consumer.index, producerPart, producers), input, consumer.index);
}

/** In which turn a transfer goes. */
export function transferTurn(consumerPart: number, producerPart: number, producers: number): number {
  return (((producerPart - consumerPart) % producers) + producers) % producers;
}

/**
 * The key of the transfer of an edge in turn 0 to part 0. That of others is `KEY_PER_TURN` more for each turn, and 1 for each
 * consumer part.
 * @param parts how many parts the consumer and the producer have
 */
export function firstTransferKey(
  kind: 'activation' | 'gradient',
  consumer: number,
  input: number,
  parts: readonly [consumers: number, producers: number],
): number {
  taskKey(kind, consumer, parts[1] - 1, input, parts[0] - 1);
  return taskKey(kind, consumer, 0, input, 0);
}
