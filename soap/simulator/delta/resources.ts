import type { Cluster } from '../../cluster/cluster.ts';
import type { CollectiveTime, CollectiveTimes } from '../../tasks/collective-time.ts';
import { collectiveTimes } from '../../tasks/collective-time.ts';

const US_PER_SEC = 1e6;

/** A way between two devices. */
interface Route {
  readonly latencyUs: number;
  readonly bandwidthBytesPerSec: number;
  /** Resource set of its links. */
  readonly set: number;
}

/**
 * The sets of resources that tasks hold, numbered. Resources are those of task graphs: devices, then links. The set of one
 * device has the device's own number.
 */
export class Resources {
  readonly deviceCount: number;
  /** Devices and links. */
  readonly count: number;
  readonly #cluster: Cluster;
  readonly #collectives: CollectiveTimes;
  readonly #routes = new Map<number, Route>();
  readonly #setOfLinks = new Map<readonly number[], number>();
  readonly #sets: Int32Array[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#collectives = collectiveTimes(cluster);
    this.deviceCount = cluster.devices.length;
    this.count = cluster.devices.length + cluster.links.length;
    for (let device = 0; device < this.deviceCount; device++) this.#sets.push(Int32Array.of(device));
  }

  /** The resources of each set. */
  get sets(): readonly Int32Array[] {
    return this.#sets;
  }

  route(from: number, to: number): Route {
    const key = from * this.deviceCount + to;
    let route = this.#routes.get(key);
    if (route === undefined) {
      route = this.#makeRoute(from, to);
      this.#routes.set(key, route);
    }
    return route;
  }

  allReduce(devices: readonly number[], bytes: number): CollectiveTime {
    return this.#collectives.allReduce(devices, bytes);
  }

  allGather(devices: readonly number[], bytesEach: number): CollectiveTime {
    return this.#collectives.allGather(devices, bytesEach);
  }

  /** The set of a collective's links. */
  setOf(links: readonly number[]): number {
    let set = this.#setOfLinks.get(links);
    if (set === undefined) {
      set = this.#addSet(links);
      this.#setOfLinks.set(links, set);
    }
    return set;
  }

  #makeRoute(from: number, to: number): Route {
    const links = this.#cluster.route(from, to);
    let latencyUs = 0;
    let bandwidthBytesPerSec = Infinity;
    for (const id of links) {
      const link = this.#cluster.links[id]!;
      latencyUs += link.latencyUs;
      bandwidthBytesPerSec = Math.min(bandwidthBytesPerSec, link.bandwidthBytesPerSec);
    }
    return { latencyUs, bandwidthBytesPerSec, set: this.#addSet(links) };
  }

  #addSet(links: readonly number[]): number {
    this.#sets.push(Int32Array.from(links, (link) => this.deviceCount + link));
    return this.#sets.length - 1;
  }
}

/** The same number as `transferUs`. */
export function routeUs({ latencyUs, bandwidthBytesPerSec }: Route, bytes: number): number {
  return latencyUs + (bytes / bandwidthBytesPerSec) * US_PER_SEC;
}
