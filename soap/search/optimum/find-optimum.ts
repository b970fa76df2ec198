import { DeltaSimulation } from '../../simulator/delta/delta-simulation.ts';
import { Network } from '../../simulator/delta/network.ts';
import type { OpConfig } from '../../strategy/strategy.ts';
import type { Candidate, PlanningProblem } from '../../simulator/evaluate.ts';
import { evaluate, isFeasible } from '../../simulator/evaluate.ts';
import { PartialBound } from './partial-bound.ts';
import type { Layer, SpaceOptions } from './space.ts';
import { layersOf, spaceSize } from './space.ts';

/** A bound is only believed where it exceeds the best by more than rounding can: what is proven is proven up to this. */
const ROUNDING = 1 + 1e-9;

/** What an exact search has proven. */
export interface Optimum {
  /** The fastest strategy of the space that fits into memory; undefined where none does, or none is faster than asked. */
  readonly best: Candidate | undefined;
  /** Whether all of the space was looked at, or left out for its bounds; else the best is only the best so far. */
  readonly proven: boolean;
  /** Strategies in the space. */
  readonly strategies: number;
  /** Partial strategies whose bound was worked out, and whole ones that were simulated. */
  readonly bounds: number;
  readonly simulations: number;
}

/** Where an exact search ends. */
export interface OptimumLimits {
  /** Only strategies faster than that are of interest. */
  readonly belowMs?: number;
  /** Effort after which it is given up: a partial strategy whose bound is worked out is 1, what else counts is below. */
  readonly mostEffort?: number;
}

/** How many bounds take about as long as one simulation of a small case. */
const SIMULATION_EFFORT = 15;

/** The same of one exact look at the memory of a strategy, for which it is simulated from nothing. */
const EXACT_LOOK_EFFORT = 300;

/**
 * Branch and bound over a space of strategies: decides one layer after the other, the most promising choice first, leaves
 * out what is certain to be no faster than the best so far, and simulates what is left.
 */
export function findOptimum(problem: PlanningProblem, options: SpaceOptions, limits: OptimumLimits = {}): Optimum {
  const { training, cluster } = problem;
  const network = new Network(problem, 'last');
  const layers = layersOf(training.graph, network, cluster.devices.length, options);
  if (layers.some(({ choices }) => choices.length === 0)) {
    return { best: undefined, proven: true, strategies: 0, bounds: 0, simulations: 0 };
  }
  const search = new OptimumSearch(problem, layers, new PartialBound(network, cluster, layers), limits);
  search.decide(0);
  const { configs, bounds, simulations, proven } = search;
  const best =
    configs === undefined ? undefined : { strategy: { configs }, prediction: evaluate(problem, { configs }) };
  return { best, proven, strategies: spaceSize(layers), bounds, simulations };
}

class OptimumSearch {
  configs: readonly OpConfig[] | undefined;
  bounds = 0;
  simulations = 0;
  #exactLooks = 0;
  readonly #problem: PlanningProblem;
  readonly #layers: readonly Layer[];
  readonly #bound: PartialBound;
  readonly #simulation: DeltaSimulation;
  readonly #choices: Int32Array;
  readonly #mostEffort: number;
  #bestUs: number;

  constructor(problem: PlanningProblem, layers: readonly Layer[], bound: PartialBound, limits: OptimumLimits) {
    this.#problem = problem;
    this.#layers = layers;
    this.#bound = bound;
    this.#choices = new Int32Array(layers.length);
    this.#bestUs = (limits.belowMs ?? Infinity) * 1000;
    this.#mostEffort = limits.mostEffort ?? Infinity;
    this.#simulation = new DeltaSimulation(problem, { configs: this.#configs() });
  }

  get proven(): boolean {
    const looks = EXACT_LOOK_EFFORT * this.#exactLooks;
    return this.bounds + SIMULATION_EFFORT * this.simulations + looks <= this.#mostEffort;
  }

  /** Decides a layer and all after it, unless that is given up. */
  decide(layer: number): void {
    if (!this.proven) return;
    if (layer === this.#layers.length) return this.#simulate();
    const count = this.#layers[layer]!.choices.length;
    const boundsUs = Float64Array.from({ length: count }, (_, choice) => {
      this.#choices[layer] = choice;
      return this.#bound.boundUs(this.#choices, layer + 1);
    });
    this.bounds += count;
    const promising = Array.from(boundsUs.keys()).filter((choice) => boundsUs[choice]! < this.#bestUs * ROUNDING);
    for (const choice of promising.sort((a, b) => boundsUs[a]! - boundsUs[b]!)) {
      if (boundsUs[choice]! > this.#bestUs * ROUNDING) return;
      this.#choices[layer] = choice;
      this.decide(layer + 1);
    }
  }

  #simulate(): void {
    this.simulations += 1;
    const configs = this.#configs();
    const now = this.#simulation.strategy.configs;
    const changes = configs.flatMap((config, op) => (config === now[op] ? [] : [{ op, config }]));
    const { makespanUs } = this.#simulation.propose(changes, { makespanUs: this.#bestUs });
    // The simulation estimates memory, and does not time what does not fit by that.
    const isTimed = !Number.isNaN(makespanUs);
    const isCandidate = !(makespanUs >= this.#bestUs) && this.#fits(configs);
    const truthUs = isTimed || !isCandidate ? makespanUs : new DeltaSimulation(this.#problem, { configs }).makespanUs;
    const isBest = isCandidate && truthUs < this.#bestUs;
    if (isBest && isTimed) this.#simulation.accept();
    else this.#simulation.reject();
    if (!isBest) return;
    this.#bestUs = truthUs;
    this.configs = configs;
  }

  #fits(configs: readonly OpConfig[]): boolean {
    this.#exactLooks += 1;
    return isFeasible(this.#problem, { configs });
  }

  /** By op. */
  #configs(): OpConfig[] {
    const configs: OpConfig[] = [];
    this.#layers.forEach(({ ops, choices }, layer) => {
      ops.forEach((op, i) => (configs[op] = choices[this.#choices[layer]!]![i]!));
    });
    return configs;
  }
}
