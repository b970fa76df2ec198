import { grown } from './task-store.ts';

/** Sums bytes by route, so that the links of a route are touched once for many transfers. */
export class RouteLoads {
  #bytes = new Float64Array(0);
  readonly #touched: number[] = [];

  add(route: number, bytes: number): void {
    if (route >= this.#bytes.length) this.#bytes = grown(this.#bytes, new Float64Array(2 * route + 1024));
    if (this.#bytes[route] === 0) this.#touched.push(route);
    this.#bytes[route]! += bytes;
  }

  /** Hands the sums out and forgets them. */
  flush(take: (route: number, bytes: number) => void): void {
    for (const route of this.#touched) {
      take(route, this.#bytes[route]!);
      this.#bytes[route] = 0;
    }
    this.#touched.length = 0;
  }
}
