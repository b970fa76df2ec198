import type { Explanation } from './explanation.ts';

/** By how much of an iteration a timeline may miss it before it is said to leave something out. */
const NOTICEABLE = 0.01;

/**
 * What devices and links alone take in an iteration, microseconds, which timelines and budgets are of; undefined where that is all. Where
 * devices share a host that was measured, a prediction has its messages, starts of kernels and shared cores too.
 */
export function linksAloneUs({
  prediction,
  makespanUs,
  earlierUs,
  accumulationSteps,
}: Pick<Explanation, 'prediction' | 'makespanUs' | 'earlierUs' | 'accumulationSteps'>): number | undefined {
  const stepUs = makespanUs + (accumulationSteps - 1) * earlierUs;
  return Math.abs(prediction.iterationMs * 1000 - stepUs) <= NOTICEABLE * stepUs ? undefined : stepUs;
}
