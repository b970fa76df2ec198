import type { Link, Path } from './cluster.ts';

/** Most routes that are kept, about 120 bytes each. */
const MAX_KEPT = 2 ** 18;

/**
 * A table of routes by pair of devices, each in the one place that it may be in; where there are more pairs than places, one
 * route takes the place of another.
 */
export class KeptRoutes {
  readonly #deviceCount: number;
  readonly #links: readonly Link[];
  /** Whether every pair has a place of its own. */
  readonly #isFull: boolean;
  /** By place: the pair that is in it as from * deviceCount + to, its route, and the numbers of its path. */
  readonly #pairs: Int32Array;
  readonly #routes: (readonly number[])[];
  readonly #latencyUs: Float64Array;
  readonly #bandwidthBytesPerSec: Float64Array;

  constructor(deviceCount: number, links: readonly Link[]) {
    const places = Math.min(deviceCount ** 2, MAX_KEPT);
    this.#deviceCount = deviceCount;
    this.#links = links;
    this.#isFull = places === deviceCount ** 2;
    this.#pairs = new Int32Array(places).fill(-1);
    this.#routes = Array.from({ length: places }, () => NO_LINKS);
    this.#latencyUs = new Float64Array(places);
    this.#bandwidthBytesPerSec = new Float64Array(places);
  }

  /** The place of a pair of devices, where its route is kept; -1 where it is not. */
  find(from: number, to: number): number {
    const pair = from * this.#deviceCount + to;
    const place = this.#placeOf(pair);
    return this.#pairs[place] === pair ? place : -1;
  }

  /** Keeps a route, and says in which place. */
  keep(from: number, to: number, route: readonly number[]): number {
    const pair = from * this.#deviceCount + to;
    const place = this.#placeOf(pair);
    this.#pairs[place] = pair;
    this.#routes[place] = route;
    let latencyUs = 0;
    let bandwidthBytesPerSec = Infinity;
    for (const id of route) {
      const link = this.#links[id]!;
      latencyUs += link.latencyUs;
      bandwidthBytesPerSec = Math.min(bandwidthBytesPerSec, link.bandwidthBytesPerSec);
    }
    this.#latencyUs[place] = latencyUs;
    this.#bandwidthBytesPerSec[place] = bandwidthBytesPerSec;
    return place;
  }

  route(place: number): readonly number[] {
    return this.#routes[place]!;
  }

  path(place: number): Path {
    return { latencyUs: this.#latencyUs[place]!, bandwidthBytesPerSec: this.#bandwidthBytesPerSec[place]! };
  }

  /** Scatters pairs over the table (Knuth's multiplicative hashing, with 2^32 over the golden ratio). */
  #placeOf(pair: number): number {
    return this.#isFull ? pair : Math.imul(pair, 0x9e3779b1) >>> (32 - Math.log2(MAX_KEPT));
  }
}

const NO_LINKS: readonly number[] = [];
