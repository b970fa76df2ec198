import { median } from '../../cli/profile/typical-step.ts';
import { WORTH_ORDERING } from './pairs.ts';
import { differenceMargin } from './uncertainty.ts';

/**
 * By strategy, in how many pairs it is of which measurements do not tell, with 95 % confidence each, either that they differ by more than
 * 5 % or that they differ by less.
 * @param timesMs by strategy, what it took in its rounds, had all rounds been equally fast; those that were not measured have none
 */
export function undecidedPairs(timesMs: readonly (readonly number[])[]): number[] {
  const margin = differenceMargin(timesMs);
  const worth = Math.log(1 + WORTH_ORDERING);
  const isUndecided = (a: readonly number[], b: readonly number[]): boolean => {
    if (a.length === 0 || b.length === 0) return false;
    return Math.abs(Math.abs(Math.log(median(a) / median(b))) - worth) <= margin(a.length, b.length);
  };
  return timesMs.map((a) => timesMs.filter((b) => b !== a && isUndecided(a, b)).length);
}
