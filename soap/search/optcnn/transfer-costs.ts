import type { Cluster } from '../../cluster/cluster.ts';
import type { Boxes } from '../../tasks/geometry/boxes.ts';
import { sharedVolume } from '../../tasks/geometry/boxes.ts';
import { linkUs } from '../../tasks/transfer-time.ts';
import { BYTES_PER_ELEMENT } from '../../tasks/work.ts';

/** Boxes of one tensor that the parts of an op have, part p on device p. */
export interface PlacedBoxes {
  readonly boxes: Boxes;
  readonly parts: number;
}

/** Times what moves between the parts of two ops, by what the busiest link has to carry. */
export class TransferCosts {
  readonly #deviceCount: number;
  /** Links from device a to b: `#links[k]` for k from `#start[a * deviceCount + b]` to the next start. */
  readonly #start: Int32Array;
  readonly #links: Int32Array;
  readonly #latencyUs: Float64Array;
  readonly #usPerElement: Float64Array;
  readonly #loadUs: Float64Array;

  /** @param wireShare bytes of messages over those of the values in them */
  constructor(cluster: Cluster, wireShare: number) {
    const ids = cluster.devices.map(({ id }) => id);
    const routes = ids.flatMap((from) => ids.map((to) => (from === to ? [] : cluster.route(from, to))));
    this.#deviceCount = ids.length;
    this.#start = new Int32Array(routes.length + 1);
    routes.forEach(({ length }, i) => (this.#start[i + 1] = this.#start[i]! + length));
    this.#links = Int32Array.from(routes.flat());
    this.#latencyUs = Float64Array.from(routes, (route) =>
      route.reduce((sum, link) => sum + cluster.links[link]!.latencyUs, 0),
    );
    this.#usPerElement = Float64Array.from(cluster.links, ({ id }) =>
      linkUs(cluster, id, BYTES_PER_ELEMENT * wireShare),
    );
    this.#loadUs = new Float64Array(cluster.links.length);
  }

  /**
   * Microseconds until every consumer part has what producer parts have of its box. Gradients take as long: they go the other
   * way, and a connection is as fast both ways.
   */
  transfersUs(producer: PlacedBoxes, consumer: PlacedBoxes): number {
    const [start, links, usPerElement, loadUs] = [this.#start, this.#links, this.#usPerElement, this.#loadUs];
    loadUs.fill(0);
    let busiestUs = 0;
    let longestUs = 0;
    for (let to = 0; to < consumer.parts; to++) {
      if (consumer.boxes.present[to] === 0) continue;
      for (let from = 0; from < producer.parts; from++) {
        if (from === to) continue;
        const volume = sharedVolume(producer.boxes, from, consumer.boxes, to);
        if (volume === 0) continue;
        const route = from * this.#deviceCount + to;
        const end = start[route + 1]!;
        for (let k = start[route]!; k < end; k++) {
          const link = links[k]!;
          const us = loadUs[link]! + volume * usPerElement[link]!;
          loadUs[link] = us;
          if (us > busiestUs) busiestUs = us;
        }
        longestUs = Math.max(longestUs, this.#latencyUs[route]!);
      }
    }
    return busiestUs + longestUs;
  }
}
