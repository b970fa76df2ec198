import type { Resources } from './resources.ts';
import { grown } from './task-store.ts';

/** How long links are busy with something; links that are not named are not. */
export interface LinkLoads {
  /** Resource numbers. */
  readonly links: Int32Array;
  readonly busyUs: Float64Array;
}

/** Sums bytes by halves of routes, then by link, so that the links of a half are touched once for many transfers. */
export class RouteLoads {
  readonly #resources: Resources;
  /** By half. */
  #bytes = new Float64Array(1024);
  readonly #halves: number[] = [];
  /** By resource. */
  readonly #busyUs: Float64Array;
  readonly #links: number[] = [];

  constructor(resources: Resources) {
    this.#resources = resources;
    this.#busyUs = new Float64Array(resources.count);
  }

  /** @param bytes more than 0 */
  add(route: number, bytes: number): void {
    this.#addHalf(this.#resources.firstHalf[route]!, bytes);
    this.#addHalf(this.#resources.secondHalf[route]!, bytes);
  }

  #addHalf(half: number, bytes: number): void {
    if (half >= this.#bytes.length) this.#bytes = grown(this.#bytes, new Float64Array(2 * half));
    if (this.#bytes[half] === 0) this.#halves.push(half);
    this.#bytes[half]! += bytes;
  }

  /** What all that was added comes to; starts anew. */
  take(): LinkLoads {
    const { halves, usPerByte } = this.#resources;
    for (const half of this.#halves) {
      const bytes = this.#bytes[half]!;
      this.#bytes[half] = 0;
      const links = halves[half]!;
      for (let i = 0; i < links.length; i++) {
        const link = links[i]!;
        if (this.#busyUs[link] === 0) this.#links.push(link);
        this.#busyUs[link]! += bytes * usPerByte[link]!;
      }
    }
    const links = Int32Array.from(this.#links);
    const busyUs = new Float64Array(links.length);
    for (let i = 0; i < links.length; i++) {
      busyUs[i] = this.#busyUs[links[i]!]!;
      this.#busyUs[links[i]!] = 0;
    }
    this.#halves.length = 0;
    this.#links.length = 0;
    return { links, busyUs };
  }
}
