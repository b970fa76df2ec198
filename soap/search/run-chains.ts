import type { SearchSettings } from '../job/training-job.ts';
import { createRandom } from '../random.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { Chain } from './chain.ts';
import type { PlanningProblem } from '../simulator/evaluate.ts';

/** Why a search ended. */
export type StopReason = 'budget' | 'proposals' | 'noImprovement' | 'interrupted';

/** A chain to run. */
export interface ChainStart {
  readonly strategy: Strategy;
  readonly seed: number;
  /** Proposals after which it ends; undefined for as many as time allows. */
  readonly proposals: number | undefined;
}

/** What came of a chain. */
export interface ChainResult {
  readonly strategy: Strategy;
  readonly energyMs: number;
  readonly proposals: number;
  readonly accepted: number;
  readonly stoppedBy: StopReason;
}

/** How far some chains are. */
export interface ChainProgress {
  readonly proposals: number;
  readonly accepted: number;
  /** Of the best strategy so far. */
  readonly energyMs: number;
}

/** What running chains needs of the world. */
export interface ChainEnvironment {
  /** Since the search began. */
  elapsedMs(): number;
  onProgress(progress: ChainProgress): void;
  /** Whether to end with what there is. */
  isInterrupted(): boolean;
}

/** Proposals of a chain before the next has its turn and the clock is looked at. */
const TURN = 16;

/** Turns between two progress reports. */
const REPORT_EVERY = 8;

interface Running {
  readonly chain: Chain;
  readonly start: ChainStart;
  bestAtMs: number;
  bestEnergyMs: number;
  stoppedBy: StopReason | undefined;
}

/**
 * Runs chains in turns until each has ended: at the time budget, at its number of proposals, or when its best has not
 * improved for half of either. What a chain finds by counting proposals does not depend on the clock or on other chains.
 */
export function runChains(
  problem: PlanningProblem,
  starts: readonly ChainStart[],
  { seconds, beta }: Pick<SearchSettings, 'seconds' | 'beta'>,
  environment: ChainEnvironment,
): ChainResult[] {
  const running = starts.map((start): Running => {
    const chain = new Chain(problem, start.strategy, beta, createRandom(start.seed));
    return {
      chain,
      start,
      bestAtMs: environment.elapsedMs(),
      bestEnergyMs: chain.best.energyMs,
      stoppedBy: undefined,
    };
  });
  for (let turn = 1; running.some(({ stoppedBy }) => stoppedBy === undefined); turn++) {
    for (const each of running) if (each.stoppedBy === undefined) takeTurn(each, seconds * 1000, environment);
    if (turn % REPORT_EVERY === 0) environment.onProgress(progressOf(running));
  }
  environment.onProgress(progressOf(running));
  return running.map(({ chain, stoppedBy }) => ({
    strategy: chain.best.strategy,
    energyMs: chain.best.energyMs,
    proposals: chain.proposals,
    accepted: chain.accepted,
    stoppedBy: stoppedBy!,
  }));
}

function takeTurn(running: Running, budgetMs: number, environment: ChainEnvironment): void {
  const { chain, start } = running;
  for (let i = 0; i < TURN; i++) {
    running.stoppedBy = countedReason(chain, start);
    if (running.stoppedBy !== undefined) return;
    const nowMs = environment.elapsedMs();
    if (chain.best.energyMs < running.bestEnergyMs) {
      running.bestEnergyMs = chain.best.energyMs;
      running.bestAtMs = nowMs;
    }
    running.stoppedBy = environment.isInterrupted() ? 'interrupted' : timedReason(running, nowMs, budgetMs);
    if (running.stoppedBy !== undefined) return;
    chain.step();
  }
}

function countedReason({ proposals, best }: Chain, { proposals: limit }: ChainStart): StopReason | undefined {
  if (limit === undefined) return undefined;
  if (proposals >= limit) return 'proposals';
  return proposals - best.atProposal > limit / 2 ? 'noImprovement' : undefined;
}

function timedReason({ start, bestAtMs }: Running, nowMs: number, budgetMs: number): StopReason | undefined {
  if (nowMs >= budgetMs) return 'budget';
  return start.proposals === undefined && nowMs - bestAtMs > budgetMs / 2 ? 'noImprovement' : undefined;
}

function progressOf(running: readonly Running[]): ChainProgress {
  return {
    proposals: running.reduce((sum, { chain }) => sum + chain.proposals, 0),
    accepted: running.reduce((sum, { chain }) => sum + chain.accepted, 0),
    energyMs: Math.min(...running.map(({ chain }) => chain.best.energyMs)),
  };
}
