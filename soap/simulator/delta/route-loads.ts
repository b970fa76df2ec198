import { grown } from './task-store.ts';

/** Sums loads by route, so that the links of a route are touched once for many transfers. */
export class RouteLoads {
  #loadUs = new Float64Array(0);
  readonly #touched: number[] = [];

  add(route: number, loadUs: number): void {
    if (route >= this.#loadUs.length) this.#loadUs = grown(this.#loadUs, new Float64Array(2 * route + 1024));
    if (this.#loadUs[route] === 0) this.#touched.push(route);
    this.#loadUs[route]! += loadUs;
  }

  /** Hands the sums out and forgets them. */
  flush(take: (route: number, loadUs: number) => void): void {
    for (const route of this.#touched) {
      take(route, this.#loadUs[route]!);
      this.#loadUs[route] = 0;
    }
    this.#touched.length = 0;
  }
}
