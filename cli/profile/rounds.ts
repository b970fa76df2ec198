import { createRandom } from '../../soap/random.ts';

/** One of several things that are measured, in one of several rounds; both from 0. */
export interface Turn {
  readonly round: number;
  readonly index: number;
}

/** All of so many things in each round, in an order of its own, which is the same each time. */
export function inRounds(count: number, rounds: number): Turn[] {
  return Array.from({ length: rounds }, (_, round) =>
    shuffled(count, round + 1).map((index): Turn => ({ round, index })),
  ).flat();
}

/** The numbers below `count` in some order. Source: Fisher and Yates, in Durstenfeld's form. */
function shuffled(count: number, seed: number): number[] {
  const random = createRandom(seed);
  const list = Array.from({ length: count }, (_, i) => i);
  for (let i = count - 1; i > 0; i--) {
    const k = random.integer(i + 1);
    [list[i], list[k]] = [list[k]!, list[i]!];
  }
  return list;
}
