import type { PointGraph } from './points.ts';

/**
 * Finds routes between devices: the fewest hops; of those, the highest smallest bandwidth; of those, the connections listed
 * first. Data passes through no other device.
 *
 * Rings of equal distance grow around both devices, always the one that has fewer links to follow, until they touch. So a
 * switch with thousands of links is met from both sides but not walked, and a search takes microseconds in clusters of any
 * size. Only the scratch memory here grows with the cluster, by a few numbers a point.
 */
export class RouteFinder {
  readonly #graph: PointGraph;
  /** Number of the present search; entries below count where a `seen` entry equals it. */
  #search = 0;
  /** By point: the last search that reached it from the source, from the target, and with a width. */
  readonly #seenFromSource: Float64Array;
  readonly #seenFromTarget: Float64Array;
  readonly #seenWithWidth: Float64Array;
  /** By point: the ring it is in, around the source or around the target. */
  readonly #ring: Int32Array;
  /** By point: the smallest bandwidth of the best way from the source, the last link of that way, the place in its ring. */
  readonly #width: Float64Array;
  readonly #lastLink: Int32Array;
  readonly #rank: Int32Array;

  constructor(graph: PointGraph) {
    this.#graph = graph;
    const { pointCount } = graph;
    this.#seenFromSource = new Float64Array(pointCount);
    this.#seenFromTarget = new Float64Array(pointCount);
    this.#seenWithWidth = new Float64Array(pointCount);
    this.#ring = new Int32Array(pointCount);
    this.#width = new Float64Array(pointCount);
    this.#lastLink = new Int32Array(pointCount);
    this.#rank = new Int32Array(pointCount);
  }

  /** Link ids from one device to another, in order; undefined where there is no way. */
  find(from: number, to: number): number[] | undefined {
    if (from === to) return [];
    this.#begin(from, to);
    let sourceRings = 1;
    let aroundSource = this.#growSource([from], sourceRings, to);
    if (this.#seenFromSource[to] === this.#search) return [this.#lastLink[to]!];
    /** The links from each ring around the target to the next inner one. */
    const approaches: number[][] = [[]];
    let aroundTarget = this.#growTarget([to], 1, approaches[0]!);
    for (;;) {
      const touching = aroundSource.filter((point) => this.#seenFromTarget[point] === this.#search);
      if (touching.length > 0) return this.#join(touching, approaches, from, to);
      if (aroundSource.length === 0 || aroundTarget.length === 0) return undefined;
      if (this.#linkCount(aroundSource) <= this.#linkCount(aroundTarget)) {
        sourceRings += 1;
        aroundSource = this.#growSource(aroundSource, sourceRings, to);
      } else {
        const links: number[] = [];
        aroundTarget = this.#growTarget(aroundTarget, approaches.push(links), links);
      }
    }
  }

  #begin(from: number, to: number): void {
    this.#search += 1;
    this.#seenFromSource[from] = this.#search;
    this.#seenFromTarget[to] = this.#search;
    this.#width[from] = Infinity;
    this.#ring[from] = this.#ring[to] = 0;
  }

  #linkCount(points: readonly number[]): number {
    const { firstOutgoing } = this.#graph;
    let count = 0;
    for (const point of points) count += firstOutgoing[point + 1]! - firstOutgoing[point]!;
    return count;
  }

  /** The next ring around the source, in the order in which its points are found; a wider way replaces a narrower one. */
  #growSource(points: readonly number[], ring: number, target: number): number[] {
    const { deviceCount, firstOutgoing, outgoing, linkTo } = this.#graph;
    const next: number[] = [];
    for (const point of points) {
      for (let i = firstOutgoing[point]!; i < firstOutgoing[point + 1]!; i++) {
        const link = outgoing[i]!;
        const to = linkTo[link]!;
        if (to < deviceCount && to !== target) continue;
        const isNew = this.#seenFromSource[to] !== this.#search;
        if (!isNew && this.#ring[to]! < ring) continue;
        if (isNew) {
          this.#seenFromSource[to] = this.#search;
          // Where the rings touch, the number of the ring around the target is not needed any more.
          this.#ring[to] = ring;
          next.push(to);
        }
        this.#offerWay(point, link, isNew);
      }
    }
    return next;
  }

  /** The next ring around the target; adds the links from its points inwards to `links`. */
  #growTarget(points: readonly number[], ring: number, links: number[]): number[] {
    const { deviceCount, firstOutgoing, outgoing, linkTo } = this.#graph;
    const next: number[] = [];
    for (const point of points) {
      for (let i = firstOutgoing[point]!; i < firstOutgoing[point + 1]!; i++) {
        const link = outgoing[i]!;
        const to = linkTo[link]!;
        if (to < deviceCount) continue;
        if (this.#seenFromTarget[to] !== this.#search) {
          this.#seenFromTarget[to] = this.#search;
          if (this.#seenFromSource[to] !== this.#search) this.#ring[to] = ring;
          next.push(to);
          links.push(link ^ 1);
        } else if (this.#ring[to] === ring || this.#seenFromSource[to] === this.#search) links.push(link ^ 1);
      }
    }
    return next;
  }

  /** Takes the way over a link where it is the first to its end, or wider. */
  #offerWay(from: number, link: number, isFirst: boolean): void {
    const to = this.#graph.linkTo[link]!;
    const width = Math.min(this.#width[from]!, this.#graph.bandwidthBytesPerSec[link]!);
    if (!isFirst && width <= this.#width[to]!) return;
    this.#width[to] = width;
    this.#lastLink[to] = link;
  }

  /** Goes on from where the rings touch to the target, ring by ring, by the rules of {@link #growSource}. */
  #join(touching: readonly number[], approaches: readonly number[][], from: number, to: number): number[] {
    for (const point of touching) this.#seenWithWidth[point] = this.#search;
    let points = touching;
    for (const links of approaches.toReversed()) {
      points.forEach((point, rank) => (this.#rank[point] = rank));
      points = this.#step(this.#inOrder(links));
    }
    const route: number[] = [];
    for (let point = to; point !== from; point = this.#start(route.at(-1)!)) route.push(this.#lastLink[point]!);
    // Unlike `reverse`, this leaves no room to grow: routes are kept in great numbers.
    return route.toReversed();
  }

  /** The links that start from the present ring, by place of their start in the ring, then as listed. */
  #inOrder(links: readonly number[]): number[] {
    const rank = (link: number): number => this.#rank[this.#start(link)]!;
    const usable = links.filter((link) => this.#seenWithWidth[this.#start(link)] === this.#search);
    return usable.length === 1 ? usable : usable.sort((a, b) => rank(a) - rank(b) || a - b);
  }

  /** Follows links to the next ring inwards. */
  #step(links: readonly number[]): number[] {
    const next: number[] = [];
    for (const link of links) {
      const end = this.#graph.linkTo[link]!;
      const isFirst = this.#seenWithWidth[end] !== this.#search;
      if (isFirst) next.push(end);
      this.#seenWithWidth[end] = this.#search;
      this.#offerWay(this.#start(link), link, isFirst);
    }
    return next;
  }

  #start(link: number): number {
    return this.#graph.linkTo[link ^ 1]!;
  }
}
