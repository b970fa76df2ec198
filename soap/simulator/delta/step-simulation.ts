import type { Strategy } from '../../strategy/strategy.ts';
import type { IterationSummary } from '../summary.ts';
import type { ConfigChange, Limits, ProposalOutcome } from './proposal.ts';
import { DeltaSimulation } from './delta-simulation.ts';
import { describeIteration } from './describe.ts';
import type { Network, NetworkProblem } from './network.ts';

/**
 * A whole step of one strategy, kept while ops change: that of the last micro-batch, and so often that of an earlier one as
 * there are. Each begins when the one before has ended on all devices, which is what a runtime does that takes them in turn,
 * but for the little that a device is ahead of the others. Where the batch is taken whole, it is the {@link DeltaSimulation}
 * itself.
 */
export class StepSimulation {
  readonly #last: DeltaSimulation;
  /** Undefined where {@link #repeats} is 0. */
  readonly #earlier: DeltaSimulation | undefined;
  readonly #repeats: number;
  /** Whether the last micro-batch has a proposal, too. */
  #isLastProposed = false;

  /**
   * @param mostTasks of a micro-batch, beyond which the strategy counts as too fine
   * @throws {RangeError} where the strategy is too fine to be simulated
   */
  constructor(problem: NetworkProblem, strategy: Strategy, mostTasks?: number) {
    this.#repeats = problem.training.accumulationSteps - 1;
    this.#last = new DeltaSimulation(problem, strategy, 'last', mostTasks);
    this.#earlier = this.#repeats === 0 ? undefined : new DeltaSimulation(problem, strategy, 'earlier');
  }

  get strategy(): Strategy {
    return this.#last.strategy;
  }

  /** Of the accepted strategy. */
  get makespanUs(): number {
    return this.#sum(({ makespanUs }) => makespanUs);
  }

  get missingMemoryBytes(): number {
    return this.#last.missingMemoryBytes;
  }

  /** Of a micro-batch: see {@link DeltaSimulation}. */
  get oversizedMessageBytes(): number {
    return this.#last.oversizedMessageBytes;
  }

  /** Bytes that each device needs, by device id. */
  get memoryBytes(): Float64Array {
    return this.#last.memoryBytes;
  }

  /** Of a micro-batch: see {@link DeltaSimulation}. */
  get allowsExactMemory(): boolean {
    return this.#last.allowsExactMemory;
  }

  /** Of a micro-batch: see {@link DeltaSimulation}. */
  get asksForExactMemory(): boolean {
    return this.#last.asksForExactMemory;
  }

  /** Of a micro-batch: see {@link DeltaSimulation}. */
  get exactMemoryMs(): number {
    return this.#last.exactMemoryMs;
  }

  get reusingMemoryBytes(): Float64Array {
    return this.#last.reusingMemoryBytes;
  }

  /** The tasks of the last micro-batch, which has all that the earlier ones have. */
  get network(): Network {
    return this.#last.network;
  }

  /** Tasks that the last proposal simulated; 0 where it was beyond its limit before that. */
  get replayedTasks(): number {
    const last = this.#isLastProposed ? this.#last.replayedTasks : 0;
    return last + (this.#earlier?.replayedTasks ?? 0);
  }

  /** What all devices, links and hosts do in a step, for each device. */
  get workUs(): number {
    return this.#sum(({ workUs }) => workUs);
  }

  /** The step in the numbers that plans and tables show. */
  describe(): IterationSummary {
    const of = (choose: (iteration: IterationSummary) => number): number =>
      this.#sum((simulation) => choose(describeIteration(simulation)));
    return {
      iterationMs: of(({ iterationMs }) => iterationMs),
      transferredBytes: of(({ transferredBytes }) => transferredBytes),
      computeMs: of(({ computeMs }) => computeMs),
    };
  }

  /**
   * Tries other configurations of some ops. Must be followed by `accept` or `reject`.
   * @param limits of the whole step, beyond which the outcome does not matter
   */
  propose(changes: readonly ConfigChange[], limits: Limits = {}): ProposalOutcome {
    const { makespanUs: limitUs = Infinity, workUs: workLimitUs = Infinity } = limits;
    const repeats = this.#repeats;
    this.#isLastProposed = true;
    if (this.#earlier === undefined) return this.#last.propose(changes, limits);
    const earlier = this.#earlier.propose(changes, { makespanUs: limitUs / repeats, workUs: workLimitUs / repeats });
    if (earlier.makespanUs === Infinity) {
      this.#isLastProposed = false;
      return earlier;
    }
    // Where it cannot be executed nothing was simulated, and no time counts.
    const earlierUs = Number.isNaN(earlier.makespanUs) ? 0 : repeats * earlier.makespanUs;
    const last = this.#last.propose(changes, {
      makespanUs: limitUs - earlierUs,
      workUs: workLimitUs - repeats * this.#earlier.workUs,
    });
    return { ...last, makespanUs: last.makespanUs + repeats * earlier.makespanUs };
  }

  /** Makes the proposal the strategy. */
  accept(): void {
    this.#earlier?.accept();
    this.#last.accept();
  }

  /** Puts everything back. */
  reject(): void {
    this.#earlier?.reject();
    if (this.#isLastProposed) this.#last.reject();
  }

  #sum(choose: (simulation: DeltaSimulation) => number): number {
    return choose(this.#last) + (this.#earlier === undefined ? 0 : this.#repeats * choose(this.#earlier));
  }
}
