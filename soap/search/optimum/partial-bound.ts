import type { Cluster } from '../../cluster/cluster.ts';
import type { Network } from '../../simulator/delta/network.ts';
import type { Edge } from '../../simulator/delta/wiring.ts';
import type { SpaceCosts } from './space-costs.ts';
import { spaceCosts } from './space-costs.ts';
import type { Layer } from './space.ts';

/**
 * Lower bounds of the makespan of every strategy that agrees with some choices of the first layers:
 *
 * - the longest way through the ops, where each way through what is not decided yet takes its best choices: from an op's
 *   forward pass to its backward pass, every consumer lies on such a way, and what its best choices are depends on the op's
 *   own choice alone (dynamic programming);
 * - per device and link, all backward tasks, collectives and updates of some ops, none of which can begin before the first of
 *   these ops' backward passes can.
 */
export class PartialBound {
  readonly #edgesIn: readonly (readonly Edge[])[];
  readonly #edgesOut: readonly (readonly Edge[])[];
  readonly #hasBackward: readonly boolean[];
  readonly #deviceCount: number;
  readonly #layerOf: Int32Array;
  readonly #sizes: readonly number[];
  readonly #costs: SpaceCosts;
  /** By edge to another layer, by the producer's choice: from its forward pass there and back to its backward pass. */
  readonly #roundTripUs: readonly Float64Array[];
  /** When the first part of an op can begin, from the last time it was asked. */
  readonly #forwardUs: Float64Array;
  readonly #backwardUs: Float64Array;
  readonly #loadUs: Float64Array;

  /** @param network empty; its tasks and loads are of no use afterwards */
  constructor(network: Network, cluster: Cluster, layers: readonly Layer[]) {
    const { edges, edgesIn, edgesOut, hasBackward } = network.wiring;
    this.#edgesIn = edgesIn;
    this.#edgesOut = edgesOut;
    this.#hasBackward = hasBackward;
    this.#deviceCount = network.resources.deviceCount;
    this.#layerOf = new Int32Array(edgesIn.length);
    layers.forEach((layer, index) => layer.ops.forEach((op) => (this.#layerOf[op] = index)));
    this.#sizes = layers.map(({ choices }) => choices.length);
    this.#costs = spaceCosts(network, cluster, layers);
    this.#roundTripUs = this.#roundTrips(edges);
    this.#forwardUs = new Float64Array(edgesIn.length);
    this.#backwardUs = new Float64Array(edgesIn.length);
    this.#loadUs = new Float64Array(network.resources.count);
  }

  /**
   * Microseconds.
   * @param choices by layer
   * @param decided how many of the first layers have one
   */
  boundUs(choices: Int32Array, decided: number): number {
    this.#passForward(choices, decided);
    return Math.max(this.#passBackward(choices, decided), this.#busiestUs(choices, decided));
  }

  #passForward(choices: Int32Array, decided: number): void {
    const layerOf = this.#layerOf;
    for (let op = 0; op < layerOf.length; op++) {
      if (layerOf[op]! >= decided) continue;
      let readyUs = 0;
      for (const edge of this.#edgesIn[op]!) {
        if (layerOf[edge.producer]! >= decided) continue;
        const delayUs = this.#costs.edges[edge.id]!.activationUs[this.#at(edge, choices)]!;
        readyUs = Math.max(readyUs, this.#forwardUs[edge.producer]! + delayUs);
      }
      this.#forwardUs[op] = readyUs;
    }
  }

  #passBackward(choices: Int32Array, decided: number): number {
    const layerOf = this.#layerOf;
    let longestUs = 0;
    for (let op = layerOf.length - 1; op >= 0; op--) {
      if (layerOf[op]! >= decided) continue;
      const choice = choices[layerOf[op]!]!;
      const { forwardUs, finishUs } = this.#costs.ops[op]!;
      let readyUs = this.#forwardUs[op]! + forwardUs[choice]!;
      for (const edge of this.#edgesOut[op]!) {
        if (layerOf[edge.consumer]! >= decided) {
          readyUs = Math.max(readyUs, this.#forwardUs[op]! + this.#roundTripUs[edge.id]![choice]!);
        } else if (edge.hasGradient) {
          const delayUs = this.#costs.edges[edge.id]!.gradientUs[this.#at(edge, choices)]!;
          readyUs = Math.max(readyUs, this.#backwardUs[edge.consumer]! + delayUs);
        }
      }
      this.#backwardUs[op] = readyUs;
      longestUs = Math.max(longestUs, readyUs + finishUs[choice]!);
    }
    return longestUs;
  }

  /**
   * Ops in order have ever later backward passes in a chain; elsewhere the earliest of those before counts. Tasks of links
   * are collectives, after each of which comes an update.
   */
  #busiestUs(choices: Int32Array, decided: number): number {
    const loadUs = this.#loadUs;
    loadUs.fill(0);
    let [deviceReadyUs, linkReadyUs, updateUs] = [Infinity, Infinity, Infinity];
    let longestUs = 0;
    for (let op = 0; op < this.#hasBackward.length; op++) {
      if (this.#layerOf[op]! >= decided || this.#hasBackward[op] !== true) continue;
      const costs = this.#costs.ops[op]!;
      const choice = choices[this.#layerOf[op]!]!;
      deviceReadyUs = Math.min(deviceReadyUs, this.#backwardUs[op]!);
      linkReadyUs = Math.min(linkReadyUs, this.#backwardUs[op]! + costs.gradientUs[choice]!);
      updateUs = Math.min(updateUs, costs.updateUs[choice]!);
      for (let resource = 0; resource < loadUs.length; resource++) {
        const us = costs.loadUs[choice * loadUs.length + resource]!;
        if (us === 0) continue;
        loadUs[resource]! += us;
        const aroundUs = resource < this.#deviceCount ? deviceReadyUs : linkReadyUs + updateUs;
        longestUs = Math.max(longestUs, aroundUs + loadUs[resource]!);
      }
    }
    return longestUs;
  }

  #at({ producer, consumer }: Edge, choices: Int32Array): number {
    const [from, to] = [this.#layerOf[producer]!, this.#layerOf[consumer]!];
    return from === to ? choices[from]! : choices[from]! * this.#sizes[to]! + choices[to]!;
  }

  #roundTrips(edges: readonly Edge[]): Float64Array[] {
    const trips = edges.map((): Float64Array => new Float64Array(0));
    /** By op, by its layer's choice: from the start of its forward pass to that of its backward pass, at best. */
    const turnsUs = this.#costs.ops.map(({ forwardUs }) => Float64Array.from(forwardUs));
    for (let op = turnsUs.length - 1; op >= 0; op--) {
      for (const edge of this.#edgesOut[op]!) {
        const tripUs = this.#roundTrip(edge, turnsUs[edge.consumer]!);
        trips[edge.id] = tripUs;
        turnsUs[op]!.forEach((us, choice, turns) => (turns[choice] = Math.max(us, tripUs[choice]!)));
      }
    }
    return trips;
  }

  /** By the producer's choice. No way leads back over an edge without gradient. */
  #roundTrip({ id, producer, consumer, hasGradient }: Edge, turnUs: Float64Array): Float64Array {
    const tripUs = new Float64Array(this.#sizes[this.#layerOf[producer]!]!);
    if (!hasGradient) return tripUs;
    const within = this.#layerOf[producer] === this.#layerOf[consumer];
    const { activationUs, gradientUs } = this.#costs.edges[id]!;
    for (let choice = 0; choice < tripUs.length; choice++) {
      let leastUs = Infinity;
      for (let k = 0; k < (within ? 1 : turnUs.length); k++) {
        const [other, at] = within ? [choice, choice] : [k, choice * turnUs.length + k];
        leastUs = Math.min(leastUs, activationUs[at]! + turnUs[other]! + gradientUs[at]!);
      }
      tripUs[choice] = leastUs;
    }
    return tripUs;
  }
}
