import type { SearchSettings } from '../job/training-job.ts';

/** Milliseconds that may still be spent on baselines. */
export type TimeLeft = () => number;

/** The share of a search's time that baselines may take, and milliseconds that they may always take: small cases need less. */
const [SHARE, LEAST_MS] = [0.5, 500];

/** Where proposals are counted, the result is to depend on no clock: then nothing is left out to save time. */
export const NO_BOUND: TimeLeft = () => Infinity;

/** What a search leaves its baselines, so that its chains have time, too. @param elapsedMs since it began */
export function baselineTime(
  { seconds, proposals }: Pick<SearchSettings, 'seconds' | 'proposals'>,
  elapsedMs: () => number,
): TimeLeft {
  if (proposals !== undefined) return NO_BOUND;
  return () => Math.max(seconds * 1000 * SHARE, LEAST_MS) - elapsedMs();
}
