import { inRounds } from '../../cli/profile/rounds.ts';
import { disagree } from '../../cli/profile/probe.ts';
import type { CaseMeasurements } from './measure.ts';
import { evenRuns, firstAlike } from './measure.ts';
import { undecidedPairs } from './undecided.ts';

/** Runs of one model to measure in one round, in this order. */
export interface Turns {
  readonly round: number;
  readonly runs: readonly number[];
}

/** What a round has at least beside the first ones, so that how slow it was can be told from it. */
const LEAST_RUNS = 4;

/** All runs that differ, in an order that each round has of its own: the machine changes within minutes, and so it does for all alike. */
export function wholeRound({ runs }: CaseMeasurements, round: number): Turns {
  const first = firstAlike(runs);
  return { round, runs: shuffled(runs.length, round).filter((run) => first[run] === run) };
}

/** Once more those whose times disagree. */
export function disagreeing(measured: CaseMeasurements, round: number): Turns {
  const even = evenRuns(measured);
  return { round, runs: wholeRound(measured, round).runs.filter((run) => disagree(even[run]!)) };
}

/** Rows that are in undecided pairs: the half that is in most of them, and how many pairs that is. Empty where they are too few. */
export function undecided(measured: CaseMeasurements, round: number): Turns & { readonly pairs: number } {
  const { runs } = measured;
  const even = evenRuns(measured);
  const first = firstAlike(runs);
  const pairsOfRun = new Map<number, number>();
  for (const devices of new Set(runs.map((run) => run.devices))) {
    const group = runs.flatMap((run, index) =>
      run.role === 'row' && run.devices === devices && first[index] === index ? [index] : [],
    );
    const counts = undecidedPairs(group.map((run) => even[run]!.map(({ iterationMs }) => iterationMs)));
    group.forEach((run, i) => pairsOfRun.set(run, counts[i]!));
  }
  const concerned = [...pairsOfRun].filter(([, pairs]) => pairs > 0).toSorted(([, a], [, b]) => b - a);
  const chosen = concerned.slice(0, Math.max(LEAST_RUNS, Math.ceil(concerned.length / 2)));
  if (chosen.length < LEAST_RUNS) return { round, runs: [], pairs: 0 };
  const of = new Set(chosen.map(([run]) => run));
  return {
    round,
    runs: shuffled(runs.length, round).filter((run) => of.has(run)),
    pairs: concerned.reduce((sum, [, pairs]) => sum + pairs, 0) / 2,
  };
}

function shuffled(count: number, round: number): number[] {
  return inRounds(count, round + 1).flatMap((turn) => (turn.round === round ? [turn.index] : []));
}
