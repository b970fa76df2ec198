/**
 * The chance that the chain moves from one strategy to another: 1 when the new one is faster, else
 * exp(-beta * (new - current) / best). Dividing by the best makes beta free of units. How often each configuration is
 * proposed does not enter: it is the prior of what the chain samples (see randomConfig).
 * Source: Metropolis-Hastings, paper section 6.2, with the project's normalisation.
 */
export function acceptanceProbability(currentMs: number, proposedMs: number, bestMs: number, beta: number): number {
  if (proposedMs <= currentMs) return 1;
  return Math.exp((-beta * (proposedMs - currentMs)) / bestMs);
}
