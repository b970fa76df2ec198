import type { SearchSettings } from './training-job.ts';

/**
 * What a search does where nothing else is asked for, in a job or on a command line. The inverse temperature: see decision 0007 for what
 * others give.
 */
export const DEFAULT_SEARCH: SearchSettings = {
  seconds: 10,
  seed: 1,
  beta: 2000,
  chains: 2,
  start: ['data', 'expert', 'random'],
};
