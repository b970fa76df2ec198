import type { Random } from '../random.ts';
import { StepSimulation } from '../simulator/delta/step-simulation.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { cooledBeta } from './cooling.ts';
import { energyOf, excessBytes } from '../simulator/energy.ts';
import type { PlanningProblem } from '../simulator/evaluate.ts';
import { Moves } from './moves.ts';

/** What a millisecond of work on every device and its links counts, against one of the iteration. */
const WORK_WEIGHT = 0.3;

/**
 * What became of a proposal: it changed nothing; it was turned down by its bounds, without a simulation; or it was simulated,
 * and then rejected or accepted.
 */
export type StepOutcome = 'unchanged' | 'bounded' | 'rejected' | 'accepted';

/** The best strategy that a chain has met. */
interface Best {
  readonly strategy: Strategy;
  readonly energyMs: number;
  /** After how many of its proposals. */
  readonly atProposal: number;
}

/**
 * One Markov chain over strategies (paper, section 6.2): propose, simulate what changes, accept or stay. It depends on its
 * start and its random source alone, so that chains may run one after the other, in turn, or in threads.
 */
export class Chain {
  readonly #problem: PlanningProblem;
  readonly #beta: number;
  readonly #random: Random;
  readonly #simulation: StepSimulation;
  readonly #moves: Moves;
  #energyMs: number;
  #best: Best;
  #proposals = 0;
  #accepted = 0;

  constructor(problem: PlanningProblem, start: Strategy, beta: number, random: Random) {
    this.#problem = problem;
    this.#beta = beta;
    this.#random = random;
    this.#simulation = new StepSimulation(problem, start);
    this.#moves = new Moves(problem.training.graph, this.#simulation.network, problem.cluster.devices.length);
    this.#energyMs = energyOf(problem.cluster, this.#simulation);
    this.#best = { strategy: start, energyMs: this.#energyMs, atProposal: 0 };
  }

  get best(): Best {
    return this.#best;
  }

  get proposals(): number {
    return this.#proposals;
  }

  get accepted(): number {
    return this.#accepted;
  }

  /**
   * One proposal. The chance of acceptance is 1 for a strategy that is no worse, else
   * exp(-beta * (new - current) / best): the paper's, with costs relative to the best so that beta has no unit; it rises and
   * falls around what is asked, see {@link cooledBeta}. Cost is time,
   * and a little for work, so that of strategies that take the same time those that keep devices and links busy for less go
   * ahead. Each of the two has to be accepted by itself, which keeps detailed balance for their sum (the factorized Metropolis
   * filter: Michel, Kapfer and Krauth, "Generalized event-chain Monte Carlo", 2014). The chances are drawn first: they say how
   * much the new strategy may come to, and it is given up once it is certain to come to more.
   */
  step(): StepOutcome {
    this.#proposals += 1;
    const changes = this.#moves.draw(this.#simulation.strategy.configs, this.#random);
    const limitMs = this.#energyMs + this.#allowance();
    const workMs = this.#simulation.workUs / 1000 + this.#allowance() / WORK_WEIGHT;
    if (changes.length === 0) return 'unchanged';
    // Where it cannot be executed, that alone counts.
    const fits = excessBytes(this.#simulation) === 0;
    const outcome = this.#simulation.propose(changes, {
      makespanUs: limitMs * 1000,
      workUs: fits ? workMs * 1000 : Infinity,
    });
    const energyMs = energyOf(this.#problem.cluster, outcome);
    if (energyMs > limitMs || outcome.makespanUs === Infinity) {
      this.#simulation.reject();
      return this.#simulation.replayedTasks === 0 ? 'bounded' : 'rejected';
    }
    this.#simulation.accept();
    this.#accepted += 1;
    this.#energyMs = energyMs;
    if (energyMs < this.#best.energyMs) {
      this.#best = { strategy: this.#simulation.strategy, energyMs, atProposal: this.#proposals };
    }
    return 'accepted';
  }

  /** By how much a cost may rise this time. */
  #allowance(): number {
    return (-Math.log(1 - this.#random.next()) * this.#best.energyMs) / cooledBeta(this.#beta, this.#proposals);
  }
}
