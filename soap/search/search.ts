import type { SearchSettings } from '../job/training-job.ts';
import type { Random } from '../random.ts';
import { createRandom, deriveSeed } from '../random.ts';
import { dataParallel, expertStrategy, modelParallel } from '../strategy/baselines.ts';
import { randomConfig, randomStrategy } from '../strategy/random.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { acceptanceProbability } from './accept.ts';
import type { PlanningProblem, Prediction } from './evaluate.ts';
import { assess } from './evaluate.ts';

/** Why a search ended. */
type StopReason = 'budget' | 'proposals' | 'noImprovement';

/** How a search went. */
export interface SearchStatistics {
  readonly seconds: number;
  readonly proposals: number;
  readonly proposalsPerSecond: number;
  readonly accepted: number;
  readonly stoppedBy: StopReason;
}

/** A strategy with what the simulator says of it. */
export interface Candidate {
  readonly strategy: Strategy;
  readonly prediction: Prediction;
}

export interface SearchResult {
  readonly best: Candidate;
  readonly baselines: { readonly data: Prediction; readonly model: Prediction; readonly expert: Prediction };
  readonly statistics: SearchStatistics;
}

/** How far a search is. */
export interface SearchProgress {
  readonly seconds: number;
  readonly proposals: number;
  readonly bestIterationMs: number;
}

/** What a search needs of the world. */
export interface SearchEnvironment {
  /** Monotonic. */
  nowMs(): number;
  onProgress?(progress: SearchProgress): void;
}

/** Proposals between two progress reports. */
const PROGRESS_EVERY = 64;

/** A candidate with what chains compare. */
interface ScoredCandidate extends Candidate {
  readonly energyMs: number;
}

/** One Markov chain. */
interface Chain {
  readonly random: Random;
  current: ScoredCandidate;
}

/**
 * Metropolis-Hastings over strategies (paper, section 6.2). Chains take turns, one proposal each: pick an op uniformly,
 * replace its configuration by a random one, accept or stay. The baselines are starts, so the result is never worse than
 * they are. Ends at the time budget, at the number of proposals, or when the best has not improved for half the time.
 *
 * With `proposals` set and time enough, equal settings give equal results on any machine.
 */
export function search(
  problem: PlanningProblem,
  settings: SearchSettings,
  environment: SearchEnvironment,
): SearchResult {
  return new Search(problem, settings, environment).run();
}

class Search {
  readonly #problem: PlanningProblem;
  readonly #settings: SearchSettings;
  readonly #environment: SearchEnvironment;
  readonly #startMs: number;
  readonly #smallestMemoryBytes: number;
  #best: ScoredCandidate | undefined;
  #bestAtMs = 0;
  #bestAtProposal = 0;
  #proposals = 0;
  #accepted = 0;

  constructor(problem: PlanningProblem, settings: SearchSettings, environment: SearchEnvironment) {
    this.#problem = problem;
    this.#settings = settings;
    this.#environment = environment;
    this.#startMs = environment.nowMs();
    this.#smallestMemoryBytes = Math.min(...problem.cluster.devices.map(({ memoryBytes }) => memoryBytes));
  }

  run(): SearchResult {
    const { graph } = this.#problem.training;
    const { cluster } = this.#problem;
    const baselines = {
      data: this.#consider(dataParallel(graph, cluster)),
      model: this.#consider(modelParallel(graph, cluster)),
      expert: this.#consider(expertStrategy(graph, cluster)),
    };
    const chains = this.#chains(baselines);
    let stoppedBy: StopReason | undefined;
    while (stoppedBy === undefined) {
      for (const chain of chains) {
        stoppedBy = this.#stopReason();
        if (stoppedBy !== undefined) break;
        this.#step(chain);
      }
    }
    this.#report();
    const seconds = this.#elapsedMs() / 1000;
    return {
      best: { strategy: this.#best!.strategy, prediction: this.#best!.prediction },
      baselines: {
        data: baselines.data.prediction,
        model: baselines.model.prediction,
        expert: baselines.expert.prediction,
      },
      statistics: {
        seconds,
        proposals: this.#proposals,
        proposalsPerSecond: seconds > 0 ? this.#proposals / seconds : 0,
        accepted: this.#accepted,
        stoppedBy,
      },
    };
  }

  /** As many chains as asked, whose starts take turns. */
  #chains(baselines: { readonly data: ScoredCandidate; readonly expert: ScoredCandidate }): Chain[] {
    const { graph } = this.#problem.training;
    return Array.from({ length: this.#settings.chains }, (_, i): Chain => {
      const random = createRandom(deriveSeed(this.#settings.seed, i));
      const start = this.#settings.start[i % this.#settings.start.length]!;
      const current =
        start === 'random' ? this.#consider(randomStrategy(graph, this.#problem.cluster, random)) : baselines[start];
      return { random, current };
    });
  }

  #step(chain: Chain): void {
    const { graph } = this.#problem.training;
    const op = graph.ops[chain.random.integer(graph.ops.length)]!;
    const config = randomConfig(graph, op, this.#problem.cluster, chain.random);
    const proposed = this.#consider({ configs: chain.current.strategy.configs.with(op.id, config) });
    this.#proposals += 1;
    const probability = acceptanceProbability(
      chain.current.energyMs,
      proposed.energyMs,
      this.#best!.energyMs,
      this.#settings.beta,
    );
    if (chain.random.next() < probability) {
      chain.current = proposed;
      this.#accepted += 1;
    }
    if (this.#proposals % PROGRESS_EVERY === 0) this.#report();
  }

  #consider(strategy: Strategy): ScoredCandidate {
    const { prediction, missingMemoryBytes } = assess(this.#problem, strategy);
    const candidate = { strategy, prediction, energyMs: this.#energyMs(prediction.iterationMs, missingMemoryBytes) };
    if (this.#best === undefined || candidate.energyMs < this.#best.energyMs) {
      this.#best = candidate;
      this.#bestAtMs = this.#elapsedMs();
      this.#bestAtProposal = this.#proposals;
    }
    return candidate;
  }

  /**
   * What chains compare: time; of a strategy that does not fit, far more, by how far it does not fit, so that chains find
   * the way to strategies that do.
   */
  #energyMs(iterationMs: number, missingMemoryBytes: number): number {
    return missingMemoryBytes === 0
      ? iterationMs
      : INFEASIBLE_MS * (1 + missingMemoryBytes / this.#smallestMemoryBytes);
  }

  #stopReason(): StopReason | undefined {
    const { seconds, proposals } = this.#settings;
    if (proposals !== undefined) {
      if (this.#proposals >= proposals) return 'proposals';
      if (this.#proposals - this.#bestAtProposal > proposals / 2) return 'noImprovement';
    }
    const elapsedMs = this.#elapsedMs();
    if (elapsedMs >= seconds * 1000) return 'budget';
    if (proposals === undefined && elapsedMs - this.#bestAtMs > (seconds * 1000) / 2) return 'noImprovement';
    return undefined;
  }

  #elapsedMs(): number {
    return this.#environment.nowMs() - this.#startMs;
  }

  #report(): void {
    this.#environment.onProgress?.({
      seconds: this.#elapsedMs() / 1000,
      proposals: this.#proposals,
      bestIterationMs: this.#best!.prediction.iterationMs,
    });
  }
}

/** The energy of a strategy that just does not fit: a week, longer than any iteration. */
const INFEASIBLE_MS = 7 * 24 * 3600 * 1000;
