import type { CollectiveTask, TaskGraph } from '../../soap/tasks/task-graph.ts';
import { controlTasks } from '../wire/control-tasks.ts';
import type { AnonymousArea } from '../transport/anonymous-area.ts';
import { createAnonymousArea, readAnonymousArea } from '../transport/anonymous-area.ts';
import type { Transport } from '../transport/transport.ts';

/** Gradients begin at multiples of it, so that no two of them share a line of a processor's cache. */
const ALIGNMENT = 64;

const NOTHING = new Uint8Array();

export interface SharingOptions {
  readonly tasks: TaskGraph;
  readonly transport: Transport;
  /** The devices that are processes of this machine, of the same user; this one may be among them. */
  readonly neighbours: ReadonlySet<number>;
  /** Whether this device's kernels compute in memory of the host. */
  readonly computesOnHost: boolean;
}

/** A shard whose gradients lie where all of its devices read them. */
export interface SharedShard {
  readonly collective: CollectiveTask;
  /** By device; only this device's may be written. */
  readonly terms: ReadonlyMap<number, Float32Array>;
}

/**
 * Gradients of parameters in memory that all devices of a shard map, where these are processes of one machine: no gradient is
 * copied or sent. Each device adds up the terms of all as it reads them, in the order of the shard's collective
 * ({@link termOrder}), so the sum has the bits that messages would give it. Messages say when a term is complete, and when
 * it was read and may be overwritten.
 */
export class SharedGradients {
  readonly #transport: Transport;
  readonly #shards: ReadonlyMap<number, SharedShard>;
  readonly #peers: readonly number[];
  readonly #readTask: number;
  /** Resolves when the peers have read what this device wrote last. */
  #read: Promise<void> = Promise.resolve();

  constructor({ tasks, transport }: SharingOptions, shards: readonly SharedShard[]) {
    this.#transport = transport;
    this.#shards = new Map(shards.map((shard) => [shard.collective.shard, shard]));
    this.#peers = peersOf(
      transport.self,
      shards.map(({ collective }) => collective),
    );
    this.#readTask = controlTasks(tasks).gradientsRead;
  }

  /** Undefined where the shard's gradients are summed by messages. */
  shard(id: number): SharedShard | undefined {
    return this.#shards.get(id);
  }

  /** Tells the other devices of a shard that this one's term is complete. Resolves when theirs are. */
  async complete({ collective }: SharedShard, pass: number): Promise<void> {
    const others = collective.devices.filter((device) => device !== this.#transport.self);
    const tag = { step: pass, task: collective.id, round: 0 };
    const sent = others.map((device) => this.#transport.send(device, tag, NOTHING));
    const told = others.map((device) => this.#transport.receive(device, tag, 0));
    await Promise.all([...sent, ...told]);
  }

  /** Tells the other devices that this one has read their terms of a pass; all of its own sums are done. */
  finish(pass: number): void {
    const tag = { step: pass, task: this.#readTask, round: 0 };
    const sent = this.#peers.map((peer) => this.#transport.send(peer, tag, NOTHING));
    const told = this.#peers.map((peer) => this.#transport.receive(peer, tag, 0));
    this.#read = Promise.all([...sent, ...told]).then(() => undefined);
    // A failure is seen by who writes next; until then it must not count as unhandled.
    this.#read.catch(() => undefined);
  }

  /** Resolves when this device may write its terms. */
  writable(): Promise<void> {
    return this.#read;
  }
}

/**
 * Gives the devices of this machine memory for the gradients that they sum among themselves. All devices of a job do this at
 * the same time. Undefined where nothing is shared; a shard is not where memory for it is not to be had on one of its devices.
 */
export async function shareGradients(options: SharingOptions): Promise<SharedGradients | undefined> {
  const { tasks, transport } = options;
  const { self } = transport;
  const collectives = collectivesWithin(options);
  const peers = peersOf(self, collectives(self));
  if (peers.length === 0) return undefined;
  const places = new Map([self, ...peers].map((device) => [device, placesOf(collectives(device))]));
  const area = options.computesOnHost ? createAnonymousArea(places.get(self)!.bytes) : undefined;
  const areas = await exchangeAreas(area, peers, (peer) => places.get(peer)!.bytes, options);
  const task = controlTasks(tasks).sharing;
  const isWell = areas !== undefined;
  const willing = new Set(isWell ? [self] : []);
  const words = await toAll(transport, peers, { step: 0, task, round: 1 }, Uint8Array.of(isWell ? 1 : 0));
  for (const [peer, [word]] of words) if (word === 1) willing.add(peer);
  // Who has it mapped keeps it.
  area?.close();
  if (areas === undefined) return undefined;
  const shards = collectives(self)
    .filter(({ devices }) => devices.every((device) => willing.has(device)))
    .map((collective) => ({ collective, terms: termsOf(collective, areas, places) }));
  return shards.length === 0 ? undefined : new SharedGradients(options, shards);
}

interface Places {
  /** Offset of each shard's gradient in bytes. */
  readonly starts: ReadonlyMap<number, number>;
  readonly bytes: number;
}

/** The collectives of a device that can be done in shared memory. */
function collectivesWithin({ tasks, transport, neighbours }: SharingOptions): (device: number) => CollectiveTask[] {
  const isNear = (device: number): boolean => device === transport.self || neighbours.has(device);
  const all = tasks.tasks.filter(
    (task): task is CollectiveTask => task.kind === 'collective' && task.isRead && task.devices.every(isNear),
  );
  return (device) => all.filter(({ devices }) => devices.includes(device));
}

function peersOf(self: number, collectives: readonly CollectiveTask[]): number[] {
  const devices = new Set(collectives.flatMap((collective) => collective.devices));
  return [...devices].filter((device) => device !== self);
}

function placesOf(collectives: readonly CollectiveTask[]): Places {
  const starts = new Map<number, number>();
  let bytes = 0;
  for (const { shard, bytes: size } of collectives) {
    starts.set(shard, bytes);
    bytes += Math.ceil(size / ALIGNMENT) * ALIGNMENT;
  }
  return { starts, bytes };
}

/** Tells all peers where this device's area is, and maps theirs. Undefined where one is not to be had. */
async function exchangeAreas(
  area: AnonymousArea | undefined,
  peers: readonly number[],
  bytesOf: (peer: number) => number,
  { tasks, transport }: SharingOptions,
): Promise<Map<number, Uint8Array> | undefined> {
  const own = Uint32Array.of(area?.pid ?? 0, area?.file ?? 0);
  const tag = { step: 0, task: controlTasks(tasks).sharing, round: 0 };
  const addresses = await toAll(transport, peers, tag, new Uint8Array(own.buffer));
  if (area === undefined) return undefined;
  const areas = new Map([[transport.self, area.bytes]]);
  try {
    for (const [peer, { buffer, byteOffset }] of addresses) {
      const [pid, file] = new Uint32Array(buffer, byteOffset, 2);
      areas.set(peer, readAnonymousArea({ pid: pid!, file: file! }, bytesOf(peer)));
    }
    return areas;
  } catch {
    return undefined;
  }
}

/** Sends the same to all peers and takes as much from each. */
async function toAll(
  transport: Transport,
  peers: readonly number[],
  tag: Parameters<Transport['send']>[1],
  bytes: Uint8Array,
): Promise<Map<number, Uint8Array>> {
  const sent = Promise.all(peers.map((peer) => transport.send(peer, tag, bytes)));
  // Seen below; until then a failed send must not count as unhandled.
  sent.catch(() => undefined);
  const told = await Promise.all(
    peers.map(async (peer) => [peer, await transport.receive(peer, tag, bytes.byteLength)] as const),
  );
  await sent;
  return new Map(told);
}

function termsOf(
  { shard, devices, bytes }: CollectiveTask,
  areas: ReadonlyMap<number, Uint8Array>,
  places: ReadonlyMap<number, Places>,
): Map<number, Float32Array> {
  return new Map(
    devices.map((device) => {
      const { buffer, byteOffset } = areas.get(device)!;
      return [device, new Float32Array(buffer, byteOffset + places.get(device)!.starts.get(shard)!, bytes / 4)];
    }),
  );
}
