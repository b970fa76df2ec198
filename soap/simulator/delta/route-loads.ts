import type { Resources } from './resources.ts';
import { grown } from './task-store.ts';

/** How long links are busy with something; links that are not named are not. */
export interface LinkLoads {
  /** Resource numbers. */
  readonly links: Int32Array;
  readonly busyUs: Float64Array;
}

/** Sums bytes by route, then by link, so that the links of a route are touched once for many transfers. */
export class RouteLoads {
  readonly #resources: Resources;
  /** By route. */
  #bytes = new Float64Array(0);
  readonly #routes: number[] = [];
  /** By resource. */
  readonly #busyUs: Float64Array;
  readonly #links: number[] = [];

  constructor(resources: Resources) {
    this.#resources = resources;
    this.#busyUs = new Float64Array(resources.count);
  }

  add(route: number, bytes: number): void {
    if (route >= this.#bytes.length) this.#bytes = grown(this.#bytes, new Float64Array(2 * route + 1024));
    if (this.#bytes[route] === 0) this.#routes.push(route);
    this.#bytes[route]! += bytes;
  }

  /** What all that was added comes to; starts anew. */
  take(): LinkLoads {
    const { sets, usPerByte } = this.#resources;
    for (const route of this.#routes) {
      const bytes = this.#bytes[route]!;
      this.#bytes[route] = 0;
      for (const link of sets[route]!) {
        if (this.#busyUs[link] === 0) this.#links.push(link);
        this.#busyUs[link]! += bytes * usPerByte[link]!;
      }
    }
    const links = Int32Array.from(this.#links);
    const busyUs = Float64Array.from(links, (link) => this.#busyUs[link]!);
    for (const link of links) this.#busyUs[link] = 0;
    this.#routes.length = 0;
    this.#links.length = 0;
    return { links, busyUs };
  }
}
