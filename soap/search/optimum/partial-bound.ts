import type { Cluster } from '../../cluster/cluster.ts';
import type { Network } from '../../simulator/delta/network.ts';
import type { Edge } from '../../simulator/delta/wiring.ts';
import type { SpaceCosts } from './space-costs.ts';
import { spaceCosts } from './space-costs.ts';
import type { Layer } from './space.ts';

/**
 * Lower bounds of the makespan of every strategy that agrees with some choices of the first layers:
 *
 * - the longest way through the ops, as in the delta simulation's path bound, where each way through what is not decided yet
 *   takes its best choices: from an op's forward pass to its backward pass, every consumer lies on such a way, and what its
 *   best choices are depends on the op's choice alone (dynamic programming);
 * - per device, all backward tasks and updates of some ops, none of which can begin before the first of these ops' backward
 *   passes can; the same of links and collectives.
 */
export class PartialBound {
  readonly #edgesIn: readonly (readonly Edge[])[];
  readonly #edgesOut: readonly (readonly Edge[])[];
  readonly #hasBackward: readonly boolean[];
  readonly #deviceCount: number;
  readonly #resourceCount: number;
  readonly #layerOf: Int32Array;
  readonly #sizes: readonly number[];
  readonly #costs: SpaceCosts;
  /** By edge to another layer, by the producer's choice: from the producer's end to its gradient's arrival, at best. */
  readonly #roundTripUs: readonly Float64Array[];
  readonly #forwardEndUs: Float64Array;
  readonly #backwardStartUs: Float64Array;
  readonly #backwardEndUs: Float64Array;
  readonly #loadUs: Float64Array;

  /** @param network empty; its tasks are of no use afterwards */
  constructor(network: Network, cluster: Cluster, layers: readonly Layer[]) {
    const { edgesIn, edgesOut, hasBackward } = network.wiring;
    const ops = edgesIn.length;
    this.#edgesIn = edgesIn;
    this.#edgesOut = edgesOut;
    this.#hasBackward = hasBackward;
    this.#deviceCount = network.resources.deviceCount;
    this.#resourceCount = network.resources.count;
    this.#layerOf = new Int32Array(ops);
    layers.forEach((layer, index) => layer.ops.forEach((op) => (this.#layerOf[op] = index)));
    this.#sizes = layers.map(({ choices }) => choices.length);
    this.#costs = spaceCosts(network, cluster, layers);
    this.#roundTripUs = this.#roundTrips(network.wiring.edges);
    this.#forwardEndUs = new Float64Array(ops);
    this.#backwardStartUs = new Float64Array(ops);
    this.#backwardEndUs = new Float64Array(ops);
    this.#loadUs = new Float64Array(network.resources.count);
  }

  /**
   * Microseconds.
   * @param choices by layer
   * @param decided how many of the first layers have one
   */
  boundUs(choices: Int32Array, decided: number): number {
    this.#passForward(choices, decided);
    const pathUs = this.#passBackward(choices, decided);
    return Math.max(pathUs, this.#busiestUs(choices, decided));
  }

  #passForward(choices: Int32Array, decided: number): void {
    const [layerOf, end] = [this.#layerOf, this.#forwardEndUs];
    for (let op = 0; op < end.length; op++) {
      if (layerOf[op]! >= decided) continue;
      let readyUs = 0;
      for (const edge of this.#edgesIn[op]!) {
        if (layerOf[edge.producer]! >= decided) continue;
        const delayUs = this.#costs.edges[edge.id]!.activationUs[this.#at(edge, choices)]!;
        readyUs = Math.max(readyUs, end[edge.producer]! + delayUs);
      }
      end[op] = readyUs + this.#costs.ops[op]!.forwardUs[choices[layerOf[op]!]!]!;
    }
  }

  #passBackward(choices: Int32Array, decided: number): number {
    const [layerOf, forwardEnd, backwardEnd] = [this.#layerOf, this.#forwardEndUs, this.#backwardEndUs];
    let longestUs = 0;
    for (let op = forwardEnd.length - 1; op >= 0; op--) {
      if (layerOf[op]! >= decided) continue;
      const choice = choices[layerOf[op]!]!;
      let readyUs = forwardEnd[op]!;
      for (const edge of this.#edgesOut[op]!) {
        if (layerOf[edge.consumer]! >= decided) {
          readyUs = Math.max(readyUs, forwardEnd[op]! + this.#roundTripUs[edge.id]![choice]!);
        } else if (edge.hasGradient) {
          const delayUs = this.#costs.edges[edge.id]!.gradientUs[this.#at(edge, choices)]!;
          readyUs = Math.max(readyUs, backwardEnd[edge.consumer]! + delayUs);
        }
      }
      const { backwardUs, parametersUs } = this.#costs.ops[op]!;
      this.#backwardStartUs[op] = readyUs;
      backwardEnd[op] = readyUs + backwardUs[choice]!;
      longestUs = Math.max(longestUs, backwardEnd[op]! + parametersUs[choice]!);
    }
    return longestUs;
  }

  /**
   * Ops in order have ever later backward passes in a chain; elsewhere the earliest of those before counts. Tasks of links
   * are collectives, after each of which comes an update.
   */
  #busiestUs(choices: Int32Array, decided: number): number {
    const [count, loadUs] = [this.#resourceCount, this.#loadUs];
    loadUs.fill(0);
    let [deviceReadyUs, linkReadyUs, updateUs] = [Infinity, Infinity, Infinity];
    let longestUs = 0;
    for (let op = 0; op < this.#hasBackward.length; op++) {
      if (this.#layerOf[op]! >= decided || this.#hasBackward[op] !== true) continue;
      const costs = this.#costs.ops[op]!;
      const choice = choices[this.#layerOf[op]!]!;
      deviceReadyUs = Math.min(deviceReadyUs, this.#backwardStartUs[op]!);
      if (costs.updateUs[choice]! > 0) {
        linkReadyUs = Math.min(linkReadyUs, this.#backwardEndUs[op]!);
        updateUs = Math.min(updateUs, costs.updateUs[choice]!);
      }
      for (let resource = 0; resource < count; resource++) {
        const us = costs.loadUs[choice * count + resource]!;
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
    const best = edges.map(() => new Float64Array(0));
    /** By op, by its layer's choice: from the end of its forward pass to the start of its backward pass, at best. */
    const turnUs = this.#edgesOut.map((_, op): Float64Array => new Float64Array(this.#sizes[this.#layerOf[op]!]!));
    for (let op = turnUs.length - 1; op >= 0; op--) {
      for (const edge of this.#edgesOut[op]!) {
        const tripUs = this.#roundTripOver(edge, turnUs[edge.consumer]!);
        best[edge.id] = tripUs;
        turnUs[op]!.forEach((us, choice, turn) => (turn[choice] = Math.max(us, tripUs[choice]!)));
      }
    }
    return best;
  }

  /** By the producer's choice; over an edge without gradient, only there. */
  #roundTripOver({ id, producer, consumer, hasGradient }: Edge, turnUs: Float64Array): Float64Array {
    const within = this.#layerOf[producer] === this.#layerOf[consumer];
    const { forwardUs, backwardUs } = this.#costs.ops[consumer]!;
    const { activationUs, gradientUs } = this.#costs.edges[id]!;
    if (!hasGradient) return new Float64Array(this.#sizes[this.#layerOf[producer]!]!);
    const overUs = (at: number, choice: number): number =>
      activationUs[at]! + forwardUs[choice]! + turnUs[choice]! + backwardUs[choice]! + gradientUs[at]!;
    return Float64Array.from({ length: this.#sizes[this.#layerOf[producer]!]! }, (_, choice) => {
      if (within) return overUs(choice, choice);
      let leastUs = Infinity;
      for (let other = 0; other < turnUs.length; other++) {
        leastUs = Math.min(leastUs, overUs(choice * turnUs.length + other, other));
      }
      return leastUs;
    });
  }
}
