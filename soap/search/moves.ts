import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Dimension } from '../ops/op.ts';
import type { Random } from '../random.ts';
import type { ConfigChange } from '../simulator/delta/delta-simulation.ts';
import type { Network } from '../simulator/delta/network.ts';
import type { Edge } from '../simulator/delta/wiring.ts';
import { Alignment } from '../strategy/alignment.ts';
import type { OpConfig } from '../strategy/strategy.ts';
import { drawConfig } from './prior.ts';

/** Proposes configurations of some ops, given those of all; empty where the drawn move does not apply. */
type Move = (configs: readonly OpConfig[], random: Random) => ConfigChange[];

/**
 * The moves of a chain. Every move either redraws some ops from a distribution that depends on the others alone, whatever
 * the redrawn ones were, or changes them by something that is undone with the same chance. So a move and its reverse differ
 * by how likely each draw is given the rest: that is the prior of what the chain samples, and accepting by cost alone is
 * right for it (Metropolis-Hastings with independent draws). The prior favours regular configurations and ops that agree with
 * their neighbours; without it, they would drown among the many more that are irregular.
 */
export class Moves {
  readonly #graph: Graph;
  readonly #network: Network;
  readonly #deviceCount: number;
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
    this.#alignment = new Alignment(graph);
    this.#dimensions = graph.ops.map((op) => opDimensions(graph, op));
    const byClass = Map.groupBy(graph.ops, ({ id }) => network.geometries.classOf(id));
    this.#kin = graph.ops.map(({ id }) => byClass.get(network.geometries.classOf(id))!.map((op) => op.id));
    this.#siblings = graph.ops.map(({ id }) => this.#siblingsOf(id));
    this.#followers = graph.ops.map(({ id }) => this.#followersOf(id));
    this.#moves = [
      [0.15, (_, random) => this.#redraw(random)],
      [0.2, (configs, random) => this.#copyFromNeighbour(configs, random)],
      [0.2, (_, random) => this.#redrawWithFollowers(random)],
      [0.05, (_, random) => this.#redrawAlike(this.#kin, random)],
      [0.1, (_, random) => this.#redrawAlike(this.#siblings, random)],
      [0.05, (configs, random) => this.#copyToOthers(this.#kin, configs, random)],
      [0.1, (configs, random) => this.#copyToOthers(this.#siblings, configs, random)],
      [0.1, (configs, random) => this.#exchangeDevices(configs, random)],
      [0.05, (configs, random) => this.#turnDevices(configs, random)],
    ];
  }

  /** What the next move changes; empty where it changes nothing. */
  draw(configs: readonly OpConfig[], random: Random): ConfigChange[] {
    return this.#drawMove(random)(configs, random).filter(({ op, config }) => !sameConfig(config, configs[op]!));
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
  #redrawAlike(families: readonly (readonly number[])[], random: Random): ConfigChange[] {
    const family = families[this.#anyOp(random)]!;
    const config = this.#drawFor(family[0]!, random);
    return this.#withFollowers(family.map((op) => ({ op, config })));
  }

  /** The other ops of a family become as one is. */
  #copyToOthers(
    families: readonly (readonly number[])[],
    configs: readonly OpConfig[],
    random: Random,
  ): ConfigChange[] {
    const model = this.#anyOp(random);
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

function sameConfig(a: OpConfig, b: OpConfig): boolean {
  if (a === b) return true;
  return (
    a.devices.length === b.devices.length &&
    a.degrees.every((degree, i) => degree === b.degrees[i]) &&
    a.devices.every((device, i) => device === b.devices[i])
  );
}

function relocated({ degrees, devices }: OpConfig, to: (device: number) => number): OpConfig {
  return { degrees, devices: devices.map(to) };
}

function exchanged(device: number, a: number, b: number): number {
  if (device === a) return b;
  return device === b ? a : device;
}
