import type { Random } from '../random.ts';
import { DeltaSimulation } from '../simulator/delta/delta-simulation.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { energyOf } from './energy.ts';
import type { PlanningProblem } from './evaluate.ts';
import { Moves } from './moves.ts';

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
  readonly #simulation: DeltaSimulation;
  readonly #moves: Moves;
  #energyMs: number;
  #best: Best;
  #proposals = 0;
  #accepted = 0;

  constructor(problem: PlanningProblem, start: Strategy, beta: number, random: Random) {
    this.#problem = problem;
    this.#beta = beta;
    this.#random = random;
    this.#simulation = new DeltaSimulation(problem, start);
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
   * exp(-beta * (new - current) / best): the paper's, with costs relative to the best so that beta has no unit. The chance is
   * drawn first: it says how slow the new strategy may be, and the simulation ends once it is certain to be slower.
   */
  step(): void {
    this.#proposals += 1;
    const changes = this.#moves.draw(this.#simulation.strategy.configs, this.#random);
    const limitMs = this.#energyMs + (-Math.log(1 - this.#random.next()) * this.#best.energyMs) / this.#beta;
    if (changes.length === 0) return;
    const outcome = this.#simulation.propose(changes, limitMs * 1000);
    const energyMs = energyOf(this.#problem.cluster, outcome);
    if (energyMs > limitMs || outcome.makespanUs === Infinity) {
      this.#simulation.reject();
      return;
    }
    this.#simulation.accept();
    this.#accepted += 1;
    this.#energyMs = energyMs;
    if (energyMs < this.#best.energyMs) {
      this.#best = { strategy: this.#simulation.strategy, energyMs, atProposal: this.#proposals };
    }
  }
}
