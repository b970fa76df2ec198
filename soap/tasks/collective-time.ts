import type { Cluster } from '../cluster/cluster.ts';
import { isReadSum, readSumUs } from './read-sums.ts';
import type { LazySchedule, CollectiveTime, RoundMessage, Schedule } from './collective-schedule.ts';
import { fastest, Memo, ready, slowestMessages } from './collective-schedule.ts';
import type { CollectiveAlgorithm } from './task-graph.ts';

const US_PER_SEC = 1e6;

/** Devices beyond which every-to-every exchanges are not considered: their messages alone would be too many. */
const MAX_EXCHANGE_DEVICES = 64;

/** A bound is only believed where it exceeds by more than rounding can. */
const ROUNDING = 1 + 1e-9;

const ALL_ALGORITHMS: readonly CollectiveAlgorithm[] = ['ring', 'exchange', 'hierarchical', 'owner'];

/** A message from one device to another. */
type Message = readonly [from: number, to: number];

/**
 * Times of all-reduces and all-gathers on a cluster. What does not depend on the size is worked out once per set of devices.
 * Messages of a round that share a link share its bandwidth.
 */
export class CollectiveTimes {
  readonly #cluster: Cluster;
  readonly #allowed: readonly CollectiveAlgorithm[];
  readonly #nodeRank: ReadonlyMap<string, number>;
  readonly #reductions = new Memo();
  readonly #gathers = new Memo();
  /** No device receives more. */
  readonly #receivedBytesPerSec: number;
  readonly #shortestLinkUs: number;

  /** @param allowed algorithms of all-reduces to choose from; `owner` is always possible */
  constructor(cluster: Cluster, allowed: readonly CollectiveAlgorithm[] = ALL_ALGORITHMS) {
    this.#cluster = cluster;
    this.#allowed = allowed;
    const nodes = new Set(cluster.devices.map(({ node }) => node));
    this.#nodeRank = new Map([...nodes].map((node, rank) => [node, rank]));
    this.#receivedBytesPerSec = receivedBytesPerSec(cluster);
    this.#shortestLinkUs = cluster.links.reduce((least, { latencyUs }) => Math.min(least, latencyUs), Infinity);
  }

  /**
   * The fastest way to sum a tensor of so many bytes over devices, given ascending.
   * @param wireShare bytes of messages over those of the values in them; values that are to be rounded are sent, and not read
   */
  allReduce(devices: readonly number[], bytes: number, wireShare: number = 1): CollectiveTime {
    const sent = fastest(
      this.#reductions.get(devices, () => this.#reductionSchedules(this.#inOrder(devices))),
      bytes * wireShare,
    );
    if (wireShare < 1 || !isReadSum(this.#cluster, devices, bytes)) return sent;
    return { ...sent, isRead: true, durationUs: readSumUs(this.#cluster, devices, bytes) };
  }

  /** The fastest way to give so many bytes of each device, given ascending, to all the others. */
  allGather(devices: readonly number[], bytesEach: number): CollectiveTime {
    return fastest(
      this.#gathers.get(devices, () => this.#gatherSchedules(this.#inOrder(devices))),
      bytesEach,
    );
  }

  /** Keeps the devices of a node together, so that a ring crosses the network once per node. */
  #inOrder(devices: readonly number[]): number[] {
    return devices.toSorted((a, b) => this.#rank(a) - this.#rank(b) || a - b);
  }

  #rank(device: number): number {
    return this.#nodeRank.get(this.#cluster.devices[device]!.node)!;
  }

  #reductionSchedules(devices: readonly number[]): LazySchedule[] {
    const count = devices.length;
    const ring = this.#schedule('ring', devices, [
      { count: 2 * (count - 1), share: 1 / count, messages: ringMessages(devices) },
    ]);
    const nodes = this.#byNode(devices);
    const leaders = nodes.map(([leader]) => leader!);
    const inward = [...nodes, leaders].map(([first, ...rest]) => rest.map((device): Message => [device, first!]));
    const between = inward.pop()!;
    const { sums } = this.#cluster.description;
    const ways = [inward.flat(), between];
    const back = sums?.fetchLater === true ? [] : ways.toReversed().map((messages) => messages.map(reversed));
    const owner = this.#schedule(
      'owner',
      devices,
      [...ways, ...back].map((messages) => ({ count: 1, share: 1, messages })),
    );
    const allowed = (algorithm: CollectiveAlgorithm): boolean => this.#allowed.includes(algorithm);
    const candidates = [
      ...(allowed('ring') ? [ready(ring)] : []),
      ...(allowed('hierarchical') ? this.#hierarchical(devices).map(ready) : []),
      ready(owner),
      ...(allowed('exchange') ? this.#exchange(devices) : []),
    ];
    return sums?.holdDevices === true ? candidates.map((each) => this.#holding(each)) : candidates;
  }

  /** The same, holding its devices too. */
  #holding(candidate: LazySchedule): LazySchedule {
    let made: Schedule | undefined;
    const make = (): Schedule => {
      const plain = candidate.schedule();
      const held = plain.devices.map((device) => device - this.#cluster.devices.length);
      return { ...plain, links: [...held.toSorted((a, b) => a - b), ...plain.links] };
    };
    return { atLeastUs: (bytes) => candidate.atLeastUs(bytes), schedule: () => (made ??= make()) };
  }

  #gatherSchedules(devices: readonly number[]): LazySchedule[] {
    const ring = this.#schedule('ring', devices, [
      { count: devices.length - 1, share: 1, messages: ringMessages(devices) },
    ]);
    return [ready(ring), ...this.#exchange(devices)];
  }

  /** Takes at least as long as one device receives from all the others. */
  #exchange(devices: readonly number[]): LazySchedule[] {
    if (devices.length > MAX_EXCHANGE_DEVICES) return [];
    let made: Schedule | undefined;
    const bytesPerSec = this.#receivedBytesPerSec / (devices.length - 1);
    return [
      {
        atLeastUs: (bytes) => (this.#shortestLinkUs + (bytes / bytesPerSec) * US_PER_SEC) / ROUNDING,
        schedule: () => (made ??= this.#makeExchange(devices)),
      },
    ];
  }

  #makeExchange(devices: readonly number[]): Schedule {
    const messages = devices.flatMap((from) => devices.filter((to) => to !== from).map((to): Message => [from, to]));
    return this.#schedule('exchange', devices, [{ count: 1, share: 1, messages }]);
  }

  /** Where several nodes have equally many of the devices. */
  #hierarchical(devices: readonly number[]): Schedule[] {
    const nodes = this.#byNode(devices);
    const groupSize = nodes[0]!.length;
    if (nodes.length === 1 || groupSize === 1 || nodes.some(({ length }) => length !== groupSize)) return [];
    const inside = { count: groupSize - 1, share: 1 / groupSize, messages: nodes.flatMap(ringMessages) };
    const between = Array.from({ length: groupSize }, (_, i) => ringMessages(nodes.map((node) => node[i]!))).flat();
    const across = { count: 2 * (nodes.length - 1), share: 1 / devices.length, messages: between };
    return [this.#schedule('hierarchical', devices, [inside, across, inside])];
  }

  #byNode(devices: readonly number[]): number[][] {
    return [...Map.groupBy(devices, (device) => this.#rank(device)).values()];
  }

  #schedule(
    algorithm: CollectiveAlgorithm,
    devices: readonly number[],
    rounds: readonly { readonly count: number; readonly share: number; readonly messages: readonly Message[] }[],
  ): Schedule {
    const isUsed = new Uint8Array(this.#cluster.links.length);
    for (const { messages } of rounds) for (const each of messages) for (const id of this.#route(each)) isUsed[id] = 1;
    const links: number[] = [];
    for (let id = 0; id < isUsed.length; id++) if (isUsed[id] === 1) links.push(id);
    return {
      algorithm,
      devices,
      nodes: this.#byNode(devices),
      links,
      rounds: rounds.map(({ count, share, messages }) => ({ count, share, messages: this.#timed(messages) })),
    };
  }

  #timed(messages: readonly Message[]): RoundMessage[] {
    const load = new Int32Array(this.#cluster.links.length);
    for (const each of messages) for (const id of this.#route(each)) load[id]! += 1;
    const timed = messages.map((message): RoundMessage => {
      let latencyUs = 0;
      let bandwidthBytesPerSec = Infinity;
      for (const id of this.#route(message)) {
        const link = this.#cluster.links[id]!;
        latencyUs += link.latencyUs;
        bandwidthBytesPerSec = Math.min(bandwidthBytesPerSec, link.bandwidthBytesPerSec / load[id]!);
      }
      return { latencyUs, bandwidthBytesPerSec };
    });
    return slowestMessages(timed);
  }

  #route([from, to]: Message): readonly number[] {
    return this.#cluster.route(from, to);
  }
}

const timesOf = new WeakMap<Cluster, Map<string, CollectiveTimes>>();

/** The collective times of a cluster, shared by all who build task graphs for it. */
export function collectiveTimes(
  cluster: Cluster,
  allowed: readonly CollectiveAlgorithm[] = ALL_ALGORITHMS,
): CollectiveTimes {
  const ofCluster = timesOf.get(cluster) ?? new Map<string, CollectiveTimes>();
  timesOf.set(cluster, ofCluster);
  const key = allowed.join();
  const times = ofCluster.get(key) ?? new CollectiveTimes(cluster, allowed);
  ofCluster.set(key, times);
  return times;
}

function reversed([from, to]: Message): Message {
  return [to, from];
}

/** What the connections of the device that has most of them carry together. */
function receivedBytesPerSec({ description, devices }: Cluster): number {
  const received = new Map(devices.map(({ name }) => [name, 0]));
  for (const { between, bandwidthBytesPerSec } of description.connections) {
    for (const end of between) {
      const before = received.get(end);
      if (before !== undefined) received.set(end, before + bandwidthBytesPerSec);
    }
  }
  return Math.max(...received.values());
}

function ringMessages(devices: readonly number[]): Message[] {
  return devices.map((device, i): Message => [device, devices[(i + 1) % devices.length]!]);
}
