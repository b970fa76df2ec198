import process from 'node:process';
import type { Plan } from '../../soap/plan/plan.ts';
import { duration } from '../terminal/format.ts';

/** What a plan is looked at by. */
export interface LookedAtBy {
  /** Of an iteration, as it is predicted now. */
  readonly iterationMs: number;
  /** Whether measured costs count; else a note of `tableForPlan` has said that data sheets do. */
  readonly hasTable: boolean;
  /** Whether another cluster's numbers were asked for, so that another time is what is meant. */
  readonly elsewhere: boolean;
}

/**
 * Says on standard error where a plan is predicted to take another time than it was when it was made: a table of costs grows as more
 * is measured, and simulators change. Nothing where it reads alike, where the plan is looked at elsewhere, or where its costs are not
 * given, which was said already.
 */
export function noteOtherPrediction(
  { prediction, costs }: Plan,
  { iterationMs, hasTable, elsewhere }: LookedAtBy,
): void {
  const [then, now] = [prediction.iterationMs, iterationMs].map(duration);
  const wasMeasured = costs !== undefined && costs.roofline < 1;
  if (elsewhere || then === now || (wasMeasured && !hasTable)) return;
  const why = hasTable
    ? 'by the costs that are known now, which are others, or more, than those that it was made by'
    : 'by this version of soapstone, which predicts otherwise than the one that made it';
  process.stderr.write(`note: the plan was made for ${then} an iteration, and what follows is ${now} ${why}\n`);
}
