import { MESSAGE_US } from './loads.ts';
import type { Network } from './network.ts';
import type { PathBound } from './path-bound.ts';
import type { Limits } from './proposal.ts';

/** A bound is only believed where it exceeds the limit by more than rounding can. */
const ROUNDING = 1 + 1e-9;

/** Bounds of what a network comes to, which may be known before all its tasks are there, beside the limits of a proposal. */
export class Bounds {
  readonly #network: Network;
  readonly #paths: PathBound;
  readonly #limitUs: number;
  readonly #workLimitUs: number;

  constructor(network: Network, paths: PathBound, { makespanUs = Infinity, workUs = Infinity }: Limits) {
    this.#network = network;
    this.#paths = paths;
    this.#limitUs = makespanUs;
    this.#workLimitUs = workUs;
  }

  /** Whether the tasks of one device or link alone take longer, or all of them together. */
  areLoadsBeyond(): boolean {
    const { loads, resources } = this.#network;
    const loadUs = loads.us;
    const surelyUs = this.#limitUs * ROUNDING;
    let sumUs = loads.transfers * MESSAGE_US;
    for (let resource = 0; resource < loadUs.length; resource++) {
      if (loadUs[resource]! > surelyUs) return true;
      sumUs += loadUs[resource]!;
    }
    return sumUs / resources.deviceCount > this.#workLimitUs * ROUNDING;
  }

  /** The same, or the longest way through the ops. */
  isBeyond(): boolean {
    return this.areLoadsBeyond() || this.#paths.boundUs() > this.#limitUs * ROUNDING;
  }

  /** By how much the work of all devices may still grow before it is certain to exceed the limit. */
  workLeftUs(): number {
    const { resources, loads } = this.#network;
    return this.#workLimitUs * ROUNDING * resources.deviceCount - loads.sumUs;
  }
}
