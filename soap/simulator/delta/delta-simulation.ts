import type { OpConfig, Strategy } from '../../strategy/strategy.ts';
import { boxVolume } from '../../tasks/geometry/boxes.ts';
import type { MicroBatch } from '../../tasks/gradient-work.ts';
import { ChangingNetwork } from './changing-network.ts';
import type { Network, NetworkProblem } from './network.ts';
import type { ConfigChange, Limits, ProposalOutcome } from './proposal.ts';
import type { ReplacedStates } from './replaced-states.ts';
import { Replay } from './replay.ts';
import type { Snapshot } from './snapshots.ts';
import { lastBefore } from './snapshots.ts';
import type { OpPlacement } from './states.ts';

/** A proposal that is neither accepted nor rejected yet. */
interface Pending {
  readonly replaced: ReplacedStates;
  readonly configs: readonly OpConfig[];
  readonly outcome: ProposalOutcome;
}

const BEYOND: ProposalOutcome = { makespanUs: Infinity, missingMemoryBytes: 0, oversizedMessageBytes: 0 };

/**
 * Delta simulation (paper, section 5.3): the timeline of one strategy, kept while ops change their configurations one after
 * the other. A proposal builds only the changed ops' tasks and those around them, and simulates only from the first moment
 * at which anything can differ; `reject` puts everything back without simulating.
 *
 * The timeline is that of `simulate(buildTaskGraph(...))`, to the last bit.
 */
export class DeltaSimulation {
  readonly #state: ChangingNetwork;
  readonly #replay: Replay;
  #configs: readonly OpConfig[];
  /** NaN where the accepted strategy was not simulated. */
  #makespanUs: number;
  #order: Int32Array = new Int32Array(0);
  #snapshots: Snapshot[] = [];
  #pending: Pending | undefined;
  #replayedTasks = 0;

  /**
   * @param microBatch of a step of several, the one that is simulated
   * @param mostTasks beyond which the strategy counts as too fine
   * @throws {RangeError} where the strategy is too fine to be simulated
   */
  constructor(problem: NetworkProblem, { configs }: Strategy, microBatch: MicroBatch = 'last', mostTasks?: number) {
    this.#configs = configs;
    this.#state = new ChangingNetwork(problem, configs, microBatch, mostTasks);
    this.#replay = new Replay(this.#state.network);
    this.#makespanUs = this.#simulateWhole();
  }

  get strategy(): Strategy {
    return { configs: this.#configs };
  }

  /** Of the accepted strategy. */
  get makespanUs(): number {
    if (Number.isNaN(this.#makespanUs)) this.#makespanUs = this.#simulateWhole();
    return this.#makespanUs;
  }

  get missingMemoryBytes(): number {
    return this.#state.memory.missingBytes(this.#state.network.ops);
  }

  /** What messages have beyond what one may have, in all; as `oversizedMessageBytes` says it of the task graph. */
  get oversizedMessageBytes(): number {
    return this.#state.oversizedBytes;
  }

  /** Whether `programMemory` takes no minutes. */
  get allowsExactMemory(): boolean {
    return this.#state.memory.allowsExact(this.#state.network.tasks.size);
  }

  /** Whether only `programMemory` says that the strategy fits. */
  get asksForExactMemory(): boolean {
    return this.#state.memory.asksForExact(this.#state.network.ops, this.#state.network.tasks.size);
  }

  /** Milliseconds that `programMemory` takes, roughly. */
  get exactMemoryMs(): number {
    return this.#state.memory.exactMs(this.#state.network.tasks.size);
  }

  /** Bytes that no device needs more than, by device id: all that ever is there, and nothing used again. */
  get mostMemoryBytes(): Float64Array {
    return this.#state.memory.most(this.#state.network.ops);
  }

  /** Bytes that each device needs where memory is used again, by device id: an estimate. */
  get reusingMemoryBytes(): Float64Array {
    return this.#state.memory.reusing(this.#state.network.ops);
  }

  /** Bytes that each device needs for what `deviceMemoryBytes` counts, by device id: as if no memory were used again. */
  get memoryBytes(): Float64Array {
    return this.#state.memory.bytes.slice();
  }

  /** The accepted strategy's tasks, for those who read them. */
  get network(): Network {
    return this.#state.network;
  }

  /** Tasks that the last proposal simulated; 0 where it was beyond its limit before that. */
  get replayedTasks(): number {
    return this.#replayedTasks;
  }

  /** Every task of the accepted strategy by number, in the order in which they were ready. */
  get order(): Int32Array {
    return this.makespanUs >= 0 ? this.#order.subarray(0, this.#state.network.tasks.size) : this.#order;
  }

  /** What all devices, links and hosts do for the accepted strategy in an iteration, for each device. */
  get workUs(): number {
    return this.#state.network.loads.workUs;
  }

  /**
   * Tries other configurations of some ops. Must be followed by `accept` or `reject`.
   * @param limits beyond which the outcome does not matter
   */
  propose(changes: readonly ConfigChange[], limits: Limits = {}): ProposalOutcome {
    if (this.#pending !== undefined) throw new Error('internal: the last proposal was neither accepted nor rejected');
    this.#replayedTasks = 0;
    const configs = [...this.#configs];
    for (const { op, config } of changes) configs[op] = config;
    const [replaced, leaving] = this.#state.takeOut(changes);
    const fedUs = firstFedUs(this.#state.network, changes);
    const isBuilt = this.#state.putIn(replaced, leaving, changes, limits);
    const fromUs = isBuilt && changesSources(this.#state.network, replaced) ? 0 : fedUs;
    const outcome = isBuilt ? this.#outcome(leaving, fromUs, limits) : BEYOND;
    this.#pending = { replaced, configs, outcome };
    return outcome;
  }

  /** Makes the proposal the strategy. */
  accept(): void {
    const { replaced, configs, outcome } = this.#takePending();
    if (outcome.makespanUs === Infinity) throw new Error('internal: a proposal beyond its limit was accepted');
    if (Number.isNaN(outcome.makespanUs)) this.#snapshots = [];
    else this.#order = this.#replay.accept(this.#order, this.#snapshots);
    this.#makespanUs = outcome.makespanUs;
    this.#configs = configs;
    this.#state.keep(replaced);
  }

  /** Puts everything back. */
  reject(): void {
    this.#state.putBack(this.#takePending().replaced);
  }

  #takePending(): Pending {
    const pending = this.#pending;
    if (pending === undefined) throw new Error('internal: there is no proposal');
    this.#pending = undefined;
    return pending;
  }

  /** Simulates what is built, where memory and the size of messages allow. */
  #outcome(leaving: number, fromUs: number, { makespanUs: limitUs = Infinity }: Limits): ProposalOutcome {
    const { missingMemoryBytes, oversizedMessageBytes } = this;
    if (missingMemoryBytes + oversizedMessageBytes > 0)
      return { makespanUs: Number.NaN, missingMemoryBytes, oversizedMessageBytes };
    const snapshot = Number.isNaN(this.#makespanUs) ? undefined : lastBefore(this.#snapshots, fromUs);
    const makespanUs = this.#replay.run({ snapshot, leaving, limitUs });
    this.#replayedTasks = this.#replay.count;
    return { makespanUs, missingMemoryBytes, oversizedMessageBytes };
  }

  #simulateWhole(): number {
    const makespanUs = this.#replay.run({ snapshot: undefined, leaving: 0, limitUs: Infinity });
    this.#snapshots = [];
    this.#order = this.#replay.accept(this.#order, this.#snapshots);
    return makespanUs;
  }
}

/**
 * A moment before which no task is new, gone, or waits for another, but for those that wait for none: when the first of the tasks
 * that feed a changed op was ready. So no other new or old task of the ops is queued in a snapshot from before.
 */
function firstFedUs({ wiring, ops, tasks }: Network, changes: readonly ConfigChange[]): number {
  let fromUs = Infinity;
  for (const { op } of changes) {
    for (const { producer } of wiring.edgesIn[op]!) {
      for (const task of ops[producer]!.forward.main) fromUs = Math.min(fromUs, tasks.readyUs[task]!);
    }
  }
  return fromUs;
}

/** Whether a task of the changed ops, old or new, waits for none: it is there from the beginning on. */
function changesSources(network: Network, { ops }: ReplacedStates): boolean {
  return ops.some(([op, before]) => hasSource(network, op, before) || hasSource(network, op, network.ops[op]!));
}

/**
 * Whether a part of an op reads nothing that another op gives: all parts of the first ops, and that of a concat which meets a model's
 * input alone.
 */
function hasSource({ wiring }: Network, op: number, { geometry: { parts, inputs } }: OpPlacement): boolean {
  const read = wiring.edgesIn[op]!.map(({ input }) => inputs[input]!);
  if (read.some(({ isEverywhere }) => isEverywhere)) return false;
  for (let part = 0; part < parts; part++) if (read.every((boxes) => boxVolume(boxes, part) === 0)) return true;
  return false;
}
