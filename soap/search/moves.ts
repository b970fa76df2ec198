import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Dimension } from '../ops/op.ts';
import type { Random } from '../random.ts';
import type { ConfigChange } from '../simulator/delta/proposal.ts';
import type { Network } from '../simulator/delta/network.ts';
import type { Edge } from '../simulator/delta/wiring.ts';
import { Alignment } from '../strategy/alignment.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import { MAX_PARTS } from '../strategy/partition.ts';
import { drawConfig } from './prior.ts';
import { withDoubledParts, withHalvedParts } from './recut.ts';

/** Parts of an op for each device at most: finer cuts gain nothing that is not lost again to the number of messages. */
const MOST_PARTS_PER_DEVICE = 8;

/** Proposes configurations of some ops, given those of all; empty where the drawn move does not apply. */
type Move = (configs: readonly OpConfig[], random: Random) => ConfigChange[];

/**
 * The moves of a chain. Every move either redraws some ops from a distribution that depends on the others alone, whatever
 * the redrawn ones were, or changes them by something that is undone with the same chance. Accepted by cost alone, redraws sample
 * strategies by their cost and by how likely they are drawn, a prior (Metropolis-Hastings with independent draws), and the others by
 * their cost alone: together something between, of which a search asks no more than that it is drawn to low costs and can leave what it
 * came to. The prior favours regular configurations and ops that agree with their neighbours; without it, they would drown among the
 * many more that are irregular.
 */
export class Moves {
  readonly #graph: Graph;
  readonly #network: Network;
  readonly #deviceCount: number;
  readonly #mostParts: number;
  readonly #alignment: Alignment;
  readonly #dimensions: readonly (readonly Dimension[])[];
  /** By op: ops that are alike, itself among them. */
  readonly #kin: readonly (readonly number[])[];
  /** By op: ops that share a parameter with it and are split along the same dimensions, such as the steps of one layer. */
  readonly #siblings: readonly (readonly number[])[];
  /** By op: edges to ops without parameters that do nothing but go on with its result, nearest first. */
  readonly #followers: readonly (readonly Edge[])[];
  readonly #moves: readonly (readonly [share: number, move: Move])[];

  constructor(graph: Graph, network: Network, deviceCount: number) {
    this.#graph = graph;
    this.#network = network;
    this.#deviceCount = deviceCount;
    this.#mostParts = Math.min(MAX_PARTS, MOST_PARTS_PER_DEVICE * deviceCount);
    this.#alignment = new Alignment(graph);
    this.#dimensions = graph.ops.map((op) => opDimensions(graph, op));
    const byClass = Map.groupBy(graph.ops, ({ id }) => network.geometries.classOf(id));
    this.#kin = graph.ops.map(({ id }) => byClass.get(network.geometries.classOf(id))!.map((op) => op.id));
    this.#siblings = graph.ops.map(({ id }) => this.#siblingsOf(id));
    this.#followers = graph.ops.map(({ id }) => this.#followersOf(id));
    this.#moves = inShares([
      [0.15, (_, random) => this.#redraw(random)],
      [0.2, (configs, random) => this.#copyFromNeighbour(configs, random)],
      [0.2, (_, random) => this.#redrawWithFollowers(random)],
      ...this.#familyMoves(this.#kin, 0.05),
      ...this.#familyMoves(this.#siblings, 0.1),
      [0.1, (configs, random) => this.#exchangeDevices(configs, random)],
      [0.05, (configs, random) => this.#turnDevices(configs, random)],
      [0.05, (configs, random) => this.#cutSamples(configs, random)],
    ]);
  }

  /** Moves of ops that have a family, which only some graphs have. @param share of each */
  #familyMoves(families: readonly (readonly number[])[], share: number): (readonly [number, Move])[] {
    const members = families.flatMap((family, op) => (family.length > 1 ? [op] : []));
    if (members.length === 0) return [];
    const any = (random: Random): number => members[random.integer(members.length)]!;
    return [
      [share, (_, random) => this.#redrawAlike(families[any(random)]!, random)],
      [share, (configs, random) => this.#copyToOthers(families, any(random), configs)],
    ];
  }

  /** What the next move changes; empty where it changes nothing, or would cut an op too finely. */
  draw(configs: readonly OpConfig[], random: Random): ConfigChange[] {
    const changes = this.#drawMove(random)(configs, random);
    if (changes.some(({ config }) => config.devices.length > this.#mostParts)) return [];
    return changes.filter(({ op, config }) => !sameConfig(config, configs[op]!));
  }

  #drawMove(random: Random): Move {
    let rest = random.next();
    for (const [share, move] of this.#moves) {
      if (rest < share) return move;
      rest -= share;
    }
    return (_, source) => this.#redraw(source);
  }

  /** One op, anew. */
  #redraw(random: Random): ConfigChange[] {
    const op = this.#anyOp(random);
    return [{ op, config: this.#drawFor(op, random) }];
  }

  /** One op as an op next to it, or one that is alike. */
  #copyFromNeighbour(configs: readonly OpConfig[], random: Random): ConfigChange[] {
    const op = this.#anyOp(random);
    const { edgesIn, edgesOut } = this.#network.wiring;
    const neighbours = [...edgesIn[op]!, ...edgesOut[op]!];
    const kin = this.#kin[op]!;
    const choice = random.integer(neighbours.length + (kin.length > 1 ? 1 : 0));
    const edge = neighbours[choice];
    if (edge === undefined) {
      const other = kin[random.integer(kin.length)];
      return other === undefined || other === op ? [] : [{ op, config: configs[other]! }];
    }
    const config =
      edge.consumer === op
        ? this.#alignment.follow(edge, configs[edge.producer]!)
        : this.#alignment.lead(edge, configs[edge.consumer]!);
    return config === undefined ? [] : [{ op, config }];
  }

  /** One op anew, and what goes on with its result split alike. */
  #redrawWithFollowers(random: Random): ConfigChange[] {
    const op = this.#anyOp(random);
    return this.#withFollowers([{ op, config: this.#drawFor(op, random) }]);
  }

  /** All ops of a family anew, each as the others, and what goes on with their results. */
  #redrawAlike(family: readonly number[], random: Random): ConfigChange[] {
    const config = this.#drawFor(family[0]!, random);
    return this.#withFollowers(family.map((op) => ({ op, config })));
  }

  /** The other ops of a family become as one is. */
  #copyToOthers(families: readonly (readonly number[])[], model: number, configs: readonly OpConfig[]): ConfigChange[] {
    const others = families[model]!.filter((op) => op !== model);
    return this.#withFollowers(others.map((op) => ({ op, config: configs[model]! })));
  }

  /** Two devices exchange all they do of an op and of those that are alike; done twice, nothing has changed. */
  #exchangeDevices(configs: readonly OpConfig[], random: Random): ConfigChange[] {
    const [a, b] = [random.integer(this.#deviceCount), random.integer(this.#deviceCount)];
    const ops = this.#some(random);
    return ops.map((op) => ({ op, config: relocated(configs[op]!, (device) => exchanged(device, a, b)) }));
  }

  /** Some ops move on by a number of devices; as likely as back by the same number. */
  #turnDevices(configs: readonly OpConfig[], random: Random): ConfigChange[] {
    const by = random.integer(this.#deviceCount);
    const ops = this.#some(random);
    return ops.map((op) => ({ op, config: relocated(configs[op]!, (device) => (device + by) % this.#deviceCount) }));
  }

  /**
   * Ops that follow each other, or all, take their samples in twice as many parts, two on a device where one was; or the
   * other way round, as likely. So work can begin to overlap that a cut of one op alone only makes longer.
   */
  #cutSamples(configs: readonly OpConfig[], random: Random): ConfigChange[] {
    const [a, b] = [this.#anyOp(random), this.#anyOp(random)];
    const [first, last] = random.integer(2) === 0 ? [0, configs.length - 1] : [Math.min(a, b), Math.max(a, b)];
    const recut = random.integer(2) === 0 ? withHalvedParts : withDoubledParts;
    const changes: ConfigChange[] = [];
    for (let op = first; op <= last; op++) {
      const config = recut(configs[op]!, this.#dimensions[op]!);
      if (config === undefined) return [];
      changes.push({ op, config });
    }
    return changes;
  }

  /** An op, or all that are alike. */
  #some(random: Random): readonly number[] {
    const op = this.#anyOp(random);
    return random.integer(2) === 0 ? [op] : this.#kin[op]!;
  }

  #withFollowers(changes: readonly ConfigChange[]): ConfigChange[] {
    const changed = new Map(changes.map(({ op, config }) => [op, config]));
    for (const { op } of changes) {
      for (const edge of this.#followers[op]!) {
        const config = this.#alignment.follow(edge, changed.get(edge.producer)!);
        if (config === undefined) return [];
        changed.set(edge.consumer, config);
      }
    }
    return Array.from(changed, ([op, config]) => ({ op, config }));
  }

  #siblingsOf(op: number): number[] {
    const { parameters, reads } = this.#network.wiring;
    const readers = reads[op]!.flatMap(({ parameter }) => parameters[parameter]!.readers.map((reader) => reader.op));
    const shape = (each: number): string => this.#dimensions[each]!.map(({ name, size }) => `${name}${size}`).join();
    return [...new Set([op, ...readers])].filter((other) => shape(other) === shape(op)).sort((a, b) => a - b);
  }

  /** Follows the results of an op through ops that have no parameters and whose first activation comes from it. */
  #followersOf(op: number): Edge[] {
    const { edgesIn, edgesOut, reads } = this.#network.wiring;
    const found: Edge[] = [];
    const ops = [op];
    for (const each of ops) {
      for (const edge of edgesOut[each]!) {
        const { consumer } = edge;
        if (reads[consumer]!.length > 0 || edgesIn[consumer]![0] !== edge) continue;
        found.push(edge);
        ops.push(consumer);
      }
    }
    return found;
  }

  #anyOp(random: Random): number {
    return random.integer(this.#graph.ops.length);
  }

  #drawFor(op: number, random: Random): OpConfig {
    return drawConfig(this.#dimensions[op]!, this.#deviceCount, random);
  }
}

/** The same moves with shares that add up to 1. */
function inShares(moves: readonly (readonly [share: number, move: Move])[]): (readonly [share: number, move: Move])[] {
  const sum = moves.reduce((total, [share]) => total + share, 0);
  return moves.map(([share, move]) => [share / sum, move]);
}

function sameConfig(a: OpConfig, b: OpConfig): boolean {
  if (a === b) return true;
  return sameNumbers(a.degrees, b.degrees) && sameNumbers(a.devices, b.devices);
}

function sameNumbers(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

function relocated({ degrees, devices }: OpConfig, to: (device: number) => number): OpConfig {
  return { degrees, devices: devices.map(to) };
}

function exchanged(device: number, a: number, b: number): number {
  if (device === a) return b;
  return device === b ? a : device;
}
