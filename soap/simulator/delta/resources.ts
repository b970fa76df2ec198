import type { Cluster } from '../../cluster/cluster.ts';
import type { CollectiveTime, CollectiveTimes } from '../../tasks/collective-time.ts';
import { collectiveTimes } from '../../tasks/collective-time.ts';

const US_PER_SEC = 1e6;

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
  /** By from and to: the set of the route's links; 0 (a device's set) where it was not asked for yet. */
  readonly #routes: Int32Array;
  /** By set, of routes: the latencies on the way, and the smallest bandwidth. */
  readonly #latencyUs: number[] = [];
  readonly #bandwidthBytesPerSec: number[] = [];
  readonly #setOfLinks = new Map<readonly number[], number>();
  readonly #sets: Int32Array[] = [];

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#collectives = collectiveTimes(cluster);
    this.deviceCount = cluster.devices.length;
    this.count = cluster.devices.length + cluster.links.length;
    this.#routes = new Int32Array(this.deviceCount * this.deviceCount);
    for (let device = 0; device < this.deviceCount; device++) this.#addSet(Int32Array.of(device), 0, Infinity);
  }

  /** The resources of each set. */
  get sets(): readonly Int32Array[] {
    return this.#sets;
  }

  /** The set of the links from one device to another. */
  route(from: number, to: number): number {
    const at = from * this.deviceCount + to;
    const set = this.#routes[at]!;
    return set === 0 ? (this.#routes[at] = this.#makeRoute(from, to)) : set;
  }

  /** Microseconds that a transfer holds a route: the same number as `transferUs`. */
  transferUs(route: number, bytes: number): number {
    return this.#latencyUs[route]! + (bytes / this.#bandwidthBytesPerSec[route]!) * US_PER_SEC;
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
      set = this.#addSet(this.#resourcesOf(links), 0, Infinity);
      this.#setOfLinks.set(links, set);
    }
    return set;
  }

  #makeRoute(from: number, to: number): number {
    const links = this.#cluster.route(from, to);
    let latencyUs = 0;
    let bandwidthBytesPerSec = Infinity;
    for (const id of links) {
      const link = this.#cluster.links[id]!;
      latencyUs += link.latencyUs;
      bandwidthBytesPerSec = Math.min(bandwidthBytesPerSec, link.bandwidthBytesPerSec);
    }
    return this.#addSet(this.#resourcesOf(links), latencyUs, bandwidthBytesPerSec);
  }

  #resourcesOf(links: readonly number[]): Int32Array {
    return Int32Array.from(links, (link) => this.deviceCount + link);
  }

  #addSet(resources: Int32Array, latencyUs: number, bandwidthBytesPerSec: number): number {
    this.#latencyUs.push(latencyUs);
    this.#bandwidthBytesPerSec.push(bandwidthBytesPerSec);
    return this.#sets.push(resources) - 1;
  }
}
