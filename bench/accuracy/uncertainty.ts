import { median } from '../../cli/profile/typical-step.ts';
import { createRandom } from '../../soap/random.ts';

/** Draws of the bootstrap, and their seed. */
const [DRAWS, SEED] = [4000, 1];

/** How sure a difference is to be. */
const CONFIDENCE = 0.95;

/**
 * By how much the difference of two strategies' logarithms is to exceed a bound, so that the true one exceeds it with 95 % confidence.
 * Infinite where nothing was measured twice.
 * @param a how often the one was measured
 * @param b and the other
 */
export type Margin = (a: number, b: number) => number;

/**
 * The margin of differences among some strategies. Each was trained in some rounds, and what a round takes longer for all is out of its
 * times already, so that two strategies are compared within rounds (a randomized block design; source: Montgomery, Design and Analysis of
 * Experiments, chapter 4). Two or three times of one strategy say little about its noise; those of all together do: residuals are pooled,
 * enlarged by what the strategy's own mean takes off them, and drawn again in place of each time, of which the middle counts (source: Davison and
 * Hinkley, Bootstrap Methods and their Application, 1997, sections 3.2 and 6.2: modified residuals). So outliers count as often as they come.
 * @param timesMs by strategy, what it took in its rounds, had all rounds been equally fast
 */
export function differenceMargin(timesMs: readonly (readonly number[])[]): Margin {
  const pool = timesMs.flatMap(modifiedResiduals);
  const known = new Map<string, number>();
  return (a, b) => {
    if (pool.length === 0 || a === 0 || b === 0) return Infinity;
    const [fewer, more] = [Math.min(a, b), Math.max(a, b)];
    const key = `${fewer} ${more}`;
    const margin = known.get(key) ?? drawnMargin(pool, fewer, more);
    known.set(key, margin);
    return margin;
  };
}

/** Of logarithms, from their mean; none of what was measured once. */
function modifiedResiduals(timesMs: readonly number[]): number[] {
  if (timesMs.length < 2) return [];
  const logs = timesMs.map((ms) => Math.log(ms));
  const mean = logs.reduce((sum, log) => sum + log, 0) / logs.length;
  const enlarged = 1 / Math.sqrt(1 - 1 / logs.length);
  return logs.map((log) => (log - mean) * enlarged);
}

/** What either of two middles exceeds the other by in one of twenty draws. */
function drawnMargin(pool: readonly number[], a: number, b: number): number {
  const random = createRandom(SEED);
  const middle = (count: number): number =>
    median(Array.from({ length: count }, () => pool[random.integer(pool.length)]!));
  const sizes = Array.from({ length: DRAWS }, () => Math.abs(middle(a) - middle(b))).toSorted((x, y) => x - y);
  // Both signs come equally often, so that a side's share of 5 % is 10 % of the sizes.
  return sizes[Math.ceil((2 * CONFIDENCE - 1) * DRAWS) - 1]!;
}
