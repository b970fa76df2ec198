/** Times what holds links at once, by the link that is held longest. */
export class BusiestLink {
  readonly #loadUs = new Map<number, number>();

  /** Adds a time that some links are held. */
  hold(links: readonly number[], durationUs: number): void {
    for (const link of links) this.#loadUs.set(link, (this.#loadUs.get(link) ?? 0) + durationUs);
  }

  /** The longest that any link is held; then forgets it all. */
  takeUs(): number {
    const busiestUs = Math.max(0, ...this.#loadUs.values());
    this.#loadUs.clear();
    return busiestUs;
  }
}
