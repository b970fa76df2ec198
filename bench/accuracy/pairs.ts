import type { AccuracyRow } from './rows.ts';
import type { Margin } from './uncertainty.ts';
import { differenceMargin } from './uncertainty.ts';

/** Pairs of strategies closer than this need not be in order: as a share of the faster one. */
export const WORTH_ORDERING = 0.05;

/** Which of a row's predictions is looked at. */
export type Prediction = (row: AccuracyRow) => number;

/** Two strategies of a model on as many devices, one of which took more than 5 % longer than the other. */
export interface Pair {
  readonly slow: AccuracyRow;
  readonly fast: AccuracyRow;
  /** Logarithms of how many times as long the slow one takes. */
  readonly measured: number;
  readonly predicted: number;
  /** What the measured one may be off by: see {@link differenceMargin}. */
  readonly margin: number;
  /** Whether the difference exceeds 5 % with 95 % confidence. */
  readonly isSure: boolean;
  readonly isOrdered: boolean;
}

/** All pairs worth ordering. */
export function pairsOf(rows: readonly AccuracyRow[], predictedMs: Prediction): Pair[] {
  const groups = Map.groupBy(rows, ({ model, devices }) => `${model} ${devices}`);
  return [...groups.values()].flatMap((group) => {
    const margin = differenceMargin(group.filter(({ sameAs }) => sameAs === undefined).map(({ evenMs }) => evenMs));
    return group.flatMap((a, i) => group.slice(i + 1).flatMap((b) => pairOf(a, b, predictedMs, margin)));
  });
}

function pairOf(a: AccuracyRow, b: AccuracyRow, predictedMs: Prediction, marginOf: Margin): Pair[] {
  const [slow, fast] = a.measuredMs > b.measuredMs ? [a, b] : [b, a];
  const measured = Math.log(slow.measuredMs / fast.measuredMs);
  if (measured <= Math.log(1 + WORTH_ORDERING)) return [];
  const predicted = Math.log(predictedMs(slow) / predictedMs(fast));
  const margin = marginOf(slow.evenMs.length, fast.evenMs.length);
  const isSure = measured - margin > Math.log(1 + WORTH_ORDERING);
  return [{ slow, fast, measured, predicted, margin, isSure, isOrdered: predicted > 0 }];
}
