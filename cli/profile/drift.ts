import { median } from './typical-step.ts';

/** What something took in a round. */
export interface RoundTime {
  /** Which of the things that are measured. */
  readonly run: number;
  readonly round: number;
  readonly ms: number;
}

/** Alternations between runs and rounds; far fewer are enough. */
const SWEEPS = 20;

/**
 * By round, how many times as long everything took in it as in the middle of the rounds that all runs took part in: a machine that is slower
 * for some minutes is so for all of them alike. Without that, a run that was measured once more than others, in a slow round, would seem
 * slower than they are. Source: Tukey's median polish (Exploratory Data Analysis, 1977), of logarithms.
 * @param times of some runs in some rounds, each at most once
 */
export function roundFactors(times: readonly RoundTime[]): ReadonlyMap<number, number> {
  const byRun = Map.groupBy(times, ({ run }) => run);
  const byRound = Map.groupBy(times, ({ round }) => round);
  const slowness = new Map([...byRound.keys()].map((round) => [round, 0]));
  const whole = [...byRound].flatMap(([round, list]) => (list.length === byRun.size ? [round] : []));
  for (let sweep = 0; sweep < SWEEPS; sweep++) {
    const ofRun = new Map(
      [...byRun].map(([run, list]) => [run, median(list.map(({ round, ms }) => Math.log(ms) - slowness.get(round)!))]),
    );
    for (const [round, list] of byRound)
      slowness.set(round, median(list.map(({ run, ms }) => Math.log(ms) - ofRun.get(run)!)));
    const middle = whole.reduce((sum, round) => sum + slowness.get(round)!, 0) / Math.max(1, whole.length);
    for (const [round, slow] of slowness) slowness.set(round, slow - middle);
  }
  return new Map([...slowness].map(([round, slow]) => [round, Math.exp(slow)]));
}
