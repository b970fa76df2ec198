import type { Cluster } from '../../cluster/cluster.ts';
import type { CollectiveTime } from '../../tasks/collective-schedule.ts';
import type { CollectiveTimes } from '../../tasks/collective-time.ts';
import type { TaskOptions } from '../../tasks/task-options.ts';
import { collectiveTimes } from '../../tasks/collective-time.ts';
import { linkUs } from '../../tasks/transfer-time.ts';
import { wireShare } from '../../tasks/work.ts';

const US_PER_SEC = 1e6;

/**
 * The sets of resources that tasks hold, numbered. Resources are those of task graphs: devices, then links. The set of one
 * device has the device's own number.
 */
export class Resources {
  readonly deviceCount: number;
  /** Devices and links. */
  readonly count: number;
  /** Bytes of messages over those of the values in them. */
  readonly wireShare: number;
  readonly #cluster: Cluster;
  readonly #collectives: CollectiveTimes;
  /** By from and to: the set of the route's links; 0 (a device's set) where it was not asked for yet. */
  readonly #routes: Int32Array;
  /** By set, of routes: the latencies on the way, and the smallest bandwidth. */
  readonly #latencyUs: number[] = [];
  readonly #bandwidthBytesPerSec: number[] = [];
  /** By set, of routes: what a byte keeps its links busy for, all together. */
  readonly #busyUsPerByte: number[] = [];
  /** Halves of routes; those that are equal have one number. */
  readonly #halves: Int32Array[] = [];
  readonly #halfNumbers = new Map<string, number>();
  /** By set, of routes: the numbers of their two halves. */
  readonly #firstHalf: number[] = [];
  readonly #secondHalf: number[] = [];
  readonly #setOfLinks = new Map<readonly number[], number>();
  readonly #sets: Int32Array[] = [];
  readonly #isRoute: boolean[] = [];
  readonly #usPerByte: Float64Array;
  readonly #latencyOfLinkUs: Float64Array;

  constructor(cluster: Cluster, { collectives, wire }: TaskOptions) {
    this.#cluster = cluster;
    this.wireShare = wireShare(wire);
    this.#collectives = collectiveTimes(cluster, collectives);
    this.deviceCount = cluster.devices.length;
    this.count = cluster.devices.length + cluster.links.length;
    const none = cluster.devices.map(() => 0);
    this.#usPerByte = Float64Array.from([...none, ...cluster.links.map(({ id }) => linkUs(cluster, id, 1))]);
    this.#latencyOfLinkUs = Float64Array.from([...none, ...cluster.links.map(({ latencyUs }) => latencyUs)]);
    this.#routes = new Int32Array(this.deviceCount * this.deviceCount);
    for (let device = 0; device < this.deviceCount; device++) this.#addSet(Int32Array.of(device));
  }

  /** By set: whether it is the route of transfers, which pass its links one after the other. */
  get isRoute(): readonly boolean[] {
    return this.#isRoute;
  }

  /** By resource, of links: what a byte takes to get in, and through. */
  get usPerByte(): Float64Array {
    return this.#usPerByte;
  }
  get linkLatencyUs(): Float64Array {
    return this.#latencyOfLinkUs;
  }

  /** The resources of each set. */
  get sets(): readonly Int32Array[] {
    return this.#sets;
  }

  /** Halves of routes: many routes share theirs, such as all that leave a device through the same adapter. */
  get halves(): readonly Int32Array[] {
    return this.#halves;
  }

  /** By set, of routes: their two halves. */
  get firstHalf(): readonly number[] {
    return this.#firstHalf;
  }
  get secondHalf(): readonly number[] {
    return this.#secondHalf;
  }

  /** The set of the links from one device to another. */
  route(from: number, to: number): number {
    const at = from * this.deviceCount + to;
    const set = this.#routes[at]!;
    return set === 0 ? (this.#routes[at] = this.#makeRoute(from, to)) : set;
  }

  /** Microseconds that a transfer takes where nothing else is on its way: the same number as `transferUs`. */
  transferUs(route: number, bytes: number): number {
    return this.#latencyUs[route]! + (bytes / this.#bandwidthBytesPerSec[route]!) * US_PER_SEC;
  }

  /** Microseconds that a transfer keeps the links of its route busy for, all together. */
  busyUs(route: number, bytes: number): number {
    return bytes * this.#busyUsPerByte[route]!;
  }

  allReduce(devices: readonly number[], bytes: number): CollectiveTime {
    return this.#collectives.allReduce(devices, bytes, this.wireShare);
  }

  allGather(devices: readonly number[], bytesEach: number): CollectiveTime {
    return this.#collectives.allGather(devices, bytesEach);
  }

  /** The set of a collective's links. */
  setOf(links: readonly number[]): number {
    let set = this.#setOfLinks.get(links);
    if (set === undefined) {
      set = this.#addSet(this.#resourcesOf(links));
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
    const set = this.#addSet(this.#resourcesOf(links));
    this.#isRoute[set] = true;
    this.#latencyUs[set] = latencyUs;
    this.#bandwidthBytesPerSec[set] = bandwidthBytesPerSec;
    this.#busyUsPerByte[set] = this.#sets[set]!.reduce((sum, link) => sum + this.#usPerByte[link]!, 0);
    const middle = links.length >> 1;
    this.#firstHalf[set] = this.#halfOf(links.slice(0, middle));
    this.#secondHalf[set] = this.#halfOf(links.slice(middle));
    return set;
  }

  #halfOf(links: readonly number[]): number {
    const key = links.join();
    const known = this.#halfNumbers.get(key) ?? this.#halves.push(this.#resourcesOf(links)) - 1;
    this.#halfNumbers.set(key, known);
    return known;
  }

  #resourcesOf(links: readonly number[]): Int32Array {
    return Int32Array.from(links, (link) => this.deviceCount + link);
  }

  #addSet(resources: Int32Array): number {
    this.#isRoute.push(false);
    this.#latencyUs.push(0);
    this.#bandwidthBytesPerSec.push(Infinity);
    this.#busyUsPerByte.push(0);
    this.#firstHalf.push(-1);
    this.#secondHalf.push(-1);
    return this.#sets.push(resources) - 1;
  }
}
