import { createRandom, shuffled } from '../../soap/random.ts';

/** One of several things that are measured, in one of several rounds; both from 0. */
export interface Turn {
  readonly round: number;
  readonly index: number;
}

/** All of so many things in each round, in an order of its own, which is the same each time. */
export function inRounds(count: number, rounds: number): Turn[] {
  return Array.from({ length: rounds }, (_, round) =>
    shuffled(count, createRandom(round + 1)).map((index): Turn => ({ round, index })),
  ).flat();
}
