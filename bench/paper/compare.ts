import type { Approach, Rates } from './figures.ts';
import { APPROACHES } from './figures.ts';

/** How ours and the paper's numbers of a cell go together. */
export interface Comparison {
  /** Found over data parallel, ours divided by the paper's. */
  readonly speedupRatio: number;
  /** Whether {@link speedupRatio} is within 25 %. */
  readonly speedupAgrees: boolean;
  /** Pairs of approaches that the paper has in an order which ours has not: the first faster than the second. */
  readonly disorders: readonly (readonly [Approach, Approach])[];
}

/** The bound: 25 % off the paper's speedup, either way. */
const SPEEDUP_TOLERANCE = 0.25;

/** Rates of the paper that differ by less are equal: bars of a plot. */
const EQUAL = 0.01;

/** Compares a cell with the paper's. */
export function compareCell(ours: Rates, paper: Rates): Comparison {
  const speedupRatio = ours.found / ours.data / (paper.found / paper.data);
  const pairs = APPROACHES.flatMap((a) => APPROACHES.map((b) => [a, b] as const));
  return {
    speedupRatio,
    speedupAgrees: Math.abs(speedupRatio - 1) <= SPEEDUP_TOLERANCE,
    disorders: pairs.filter(([a, b]) => paper[a] > paper[b] * (1 + EQUAL) && ours[a] <= ours[b]),
  };
}
