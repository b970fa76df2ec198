import type { OpConfig, Strategy } from '../../strategy/strategy.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import type { MicroBatch } from '../../tasks/gradient-work.ts';
import { MemoryUse } from './memory-use.ts';
import type { NetworkProblem } from './network.ts';
import { MESSAGE_US } from './loads.ts';
import { Network } from './network.ts';
import { PathBound } from './path-bound.ts';
import { Replay } from './replay.ts';
import type { Snapshot } from './snapshots.ts';
import { lastBefore } from './snapshots.ts';
import { eachEdgeTask, eachOpTask, eachParameterTask, taskCount } from './states.ts';
import type { EdgeState, EdgeTraffic, OpState, ParameterState } from './states.ts';
import type { Edge } from './wiring.ts';

/** An op's new configuration. */
export interface ConfigChange {
  readonly op: number;
  readonly config: OpConfig;
}

/** How much a proposal may come to, before it does not matter any more. */
export interface Limits {
  readonly makespanUs?: number;
  /** See {@link DeltaSimulation.workUs}. */
  readonly workUs?: number;
}

/** What a proposed change gives. */
export interface ProposalOutcome {
  /** Infinity where one of the limits is certain to be exceeded; NaN where memory is missing, and it was not simulated. */
  readonly makespanUs: number;
  /** Sum over the devices of what they would need beyond what they have. */
  readonly missingMemoryBytes: number;
}

/** What a proposal has put into the network, with what was there before. */
interface Pending {
  readonly ops: [op: number, before: OpState][];
  readonly edges: [edge: number, before: EdgeState][];
  readonly parameters: [parameter: number, before: ParameterState][];
  readonly configs: readonly OpConfig[];
  /** Tasks of the states before. */
  leaving: number;
  outcome: ProposalOutcome;
}

/** Pairs of an edge that are worth looking at the loads before the next edge. */
const MANY_PAIRS = 64;

/** Tasks of a strategy beyond which it is too fine to be planned: about 2 GB of them. */
const MAX_TASKS = 2 ** 24;

/** Accepted proposals after which the loads are added up anew. */
const REFRESH_EVERY = 4096;

/** A bound is only believed where it exceeds the limit by more than rounding can. */
const ROUNDING = 1 + 1e-9;

const BEYOND: ProposalOutcome = { makespanUs: Infinity, missingMemoryBytes: 0 };

/**
 * Delta simulation (paper, section 5.3): the timeline of one strategy, kept while ops change their configurations one after
 * the other. A proposal builds only the changed ops' tasks and those around them, and simulates only from the first moment
 * at which anything can differ; `reject` puts everything back without simulating.
 *
 * The timeline is that of `simulate(buildTaskGraph(...))`, to the last bit.
 */
export class DeltaSimulation {
  readonly #network: Network;
  readonly #replay: Replay;
  readonly #memory: MemoryUse;
  readonly #paths: PathBound;
  readonly #savedLoadUs: Float64Array;
  readonly #savedBytes: Float64Array;
  #savedPaths: readonly Float64Array[] = [];
  #configs: readonly OpConfig[];
  /** NaN where the accepted strategy was not simulated. */
  #makespanUs: number;
  #order: Int32Array = new Int32Array(0);
  #snapshots: Snapshot[] = [];
  #pending: Pending | undefined;
  #accepted = 0;
  #replayedTasks = 0;
  #savedTransfers = 0;

  /**
   * @param microBatch of a step of several, the one that is simulated
   * @throws {RangeError} where the strategy is too fine to be simulated
   */
  constructor(problem: NetworkProblem, { configs }: Strategy, microBatch: MicroBatch = 'last') {
    const network = new Network(problem, microBatch);
    const { graph, accumulationSteps } = problem.training;
    this.#network = network;
    this.#configs = configs;
    this.#memory = new MemoryUse(graph, problem.cluster, problem.optimizer ?? 'sgd', accumulationSteps);
    this.#paths = new PathBound(network.wiring);
    configs.forEach((config, op) => {
      const placed = network.opTasks.place(op, config);
      this.#paths.setOp(op, network.opTasks.load(op, placed, 1));
      network.ops.push(network.opTasks.make(op, placed));
      this.#memory.countOp(op, placed, 1);
    });
    for (const edge of network.wiring.edges) {
      const geometry = network.edgeTasks.geometry(edge);
      if (geometry === undefined) {
        throw tooFine(`op '${graph.ops[edge.consumer]!.name}' and what it reads`);
      }
      const traffic = network.edgeTasks.traffic(edge, geometry);
      if (traffic === undefined) throw new Error('internal: an edge without limit was given up');
      network.loads.countEdge(traffic, 1);
      if (network.tasks.size + traffic.transfers > MAX_TASKS) throw tooFine('the ops');
      this.#paths.setEdge(edge.id, traffic);
      this.#countEdge(edge, geometry, 1);
      network.edges.push(network.edgeTasks.make(edge, geometry, traffic));
    }
    for (const parameter of network.wiring.parameters) {
      const state = network.parameterTasks.make(parameter);
      if (state === undefined) throw tooFine(`the readers of parameter '${graph.tensors[parameter.tensor]!.name}'`);
      network.parameters.push(state);
      this.#paths.setParameter(parameter.id, state, network.tasks);
      this.#memory.countParameter(state, 1);
    }
    this.#replay = new Replay(network);
    this.#savedLoadUs = new Float64Array(network.resources.count);
    this.#savedBytes = new Float64Array(network.resources.deviceCount);
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
    return this.#memory.missingBytes(this.#network.ops);
  }

  /** Whether only `programMemory` says that the strategy fits. */
  get asksForExactMemory(): boolean {
    return this.#memory.asksForExact(this.#network.ops);
  }

  /** Bytes that no device needs more than, by device id: all that ever is there, and nothing used again. */
  get mostMemoryBytes(): Float64Array {
    return this.#memory.most(this.#network.ops);
  }

  /** Bytes that each device needs where memory is used again, by device id: an estimate. */
  get reusingMemoryBytes(): Float64Array {
    return this.#memory.reusing(this.#network.ops);
  }

  /** Bytes that each device needs for what `deviceMemoryBytes` counts, by device id: as if no memory were used again. */
  get memoryBytes(): Float64Array {
    return this.#memory.bytes.slice();
  }

  /** The accepted strategy's tasks, for those who read them. */
  get network(): Network {
    return this.#network;
  }

  /** Tasks that the last proposal simulated; 0 where it was beyond its limit before that. */
  get replayedTasks(): number {
    return this.#replayedTasks;
  }

  /** Every task of the accepted strategy by number, in the order in which they were ready. */
  get order(): Int32Array {
    return this.makespanUs >= 0 ? this.#order.subarray(0, this.#network.tasks.size) : this.#order;
  }

  /** What all devices, links and hosts do for the accepted strategy in an iteration, for each device. */
  get workUs(): number {
    return this.#network.loads.workUs;
  }

  /**
   * Tries other configurations of some ops. Must be followed by `accept` or `reject`.
   * @param limits beyond which the outcome does not matter
   */
  propose(changes: readonly ConfigChange[], limits: Limits = {}): ProposalOutcome {
    if (this.#pending !== undefined) throw new Error('internal: the last proposal was neither accepted nor rejected');
    this.#savedLoadUs.set(this.#network.loads.us);
    this.#savedTransfers = this.#network.loads.transfers;
    this.#savedBytes.set(this.#memory.bytes);
    this.#savedPaths = this.#paths.save();
    this.#replayedTasks = 0;
    const pending = this.#takeOut(changes);
    this.#pending = pending;
    pending.outcome = this.#putIn(pending, changes, limits);
    return pending.outcome;
  }

  /** Makes the proposal the strategy. */
  accept(): void {
    const pending = this.#takePending();
    const { ops, edges, parameters, configs, outcome } = pending;
    if (outcome.makespanUs === Infinity) throw new Error('internal: a proposal beyond its limit was accepted');
    if (Number.isNaN(outcome.makespanUs)) this.#snapshots = [];
    else this.#order = this.#replay.accept(this.#order, this.#snapshots);
    this.#makespanUs = outcome.makespanUs;
    this.#configs = configs;
    for (const [, state] of ops) eachOpTask(state, this.#remove);
    for (const [, state] of edges) eachEdgeTask(state, this.#remove);
    for (const [, state] of parameters) eachParameterTask(state, this.#remove);
    this.#accepted += 1;
    if (this.#accepted % REFRESH_EVERY === 0) this.#network.refreshLoads();
  }

  /** Puts everything back. */
  reject(): void {
    const { ops, edges, parameters } = this.#takePending();
    const network = this.#network;
    for (const [parameter, before] of parameters) {
      if (network.parameters[parameter] !== before) {
        eachParameterTask(network.parameters[parameter]!, this.#remove);
        network.parameters[parameter] = before;
      }
    }
    for (const [edge, before] of edges) {
      if (network.edges[edge] !== before) {
        eachEdgeTask(network.edges[edge]!, this.#remove);
        network.edges[edge] = before;
      }
    }
    for (const [op, before] of ops) {
      if (network.ops[op] !== before) {
        eachOpTask(network.ops[op]!, this.#remove);
        network.ops[op] = before;
      }
    }
    network.loads.us.set(this.#savedLoadUs);
    network.loads.transfers = this.#savedTransfers;
    this.#memory.bytes.set(this.#savedBytes);
    this.#paths.restore(this.#savedPaths);
  }

  readonly #remove = (task: number): void => this.#network.tasks.remove(task);

  #takePending(): Pending {
    const pending = this.#pending;
    if (pending === undefined) throw new Error('internal: there is no proposal');
    this.#pending = undefined;
    return pending;
  }

  /** Takes the changed ops and all around them out of the loads; they stay in place until others take it. */
  #takeOut(changes: readonly ConfigChange[]): Pending {
    const { wiring, ops, edges, parameters } = this.#network;
    const network = this.#network;
    const configs = [...this.#configs];
    const touchedEdges = new Set<number>();
    const touchedParameters = new Set<number>();
    for (const { op, config } of changes) {
      configs[op] = config;
      for (const { id } of wiring.edgesIn[op]!) touchedEdges.add(id);
      for (const { id } of wiring.edgesOut[op]!) touchedEdges.add(id);
      for (const { parameter } of wiring.reads[op]!) touchedParameters.add(parameter);
    }
    const pending: Pending = {
      ops: changes.map(({ op }) => [op, ops[op]!]),
      edges: Array.from(touchedEdges, (edge) => [edge, edges[edge]!]),
      parameters: Array.from(touchedParameters, (parameter) => [parameter, parameters[parameter]!]),
      configs,
      leaving: 0,
      outcome: BEYOND,
    };
    const unload = (task: number): void => {
      network.loads.count(task, -1);
      pending.leaving += 1;
    };
    for (const [op, state] of pending.ops) {
      pending.leaving += taskCount(state);
      network.opTasks.unload(op, state);
      this.#memory.countOp(op, state, -1);
    }
    for (const [edge, { geometry, traffic }] of pending.edges) {
      pending.leaving += traffic.transfers;
      network.loads.countEdge(traffic, -1);
      this.#countEdge(network.wiring.edges[edge]!, geometry, -1);
    }
    for (const [parameter, state] of pending.parameters) {
      this.#paths.forgetParameter(parameter);
      eachParameterTask(state, unload);
      this.#memory.countParameter(state, -1);
    }
    return pending;
  }

  #countEdge({ producer, consumer }: Edge, geometry: EdgeGeometry, sign: 1 | -1): void {
    this.#memory.countEdge(geometry, this.#network.ops[producer]!, this.#network.ops[consumer]!, sign);
  }

  /** Builds what is new, as long as no resource alone is certain to take longer than the limit, and simulates it. */
  #putIn(
    pending: Pending,
    changes: readonly ConfigChange[],
    { makespanUs: limitUs = Infinity, workUs: workLimitUs = Infinity }: Limits,
  ): ProposalOutcome {
    const network = this.#network;
    const fromUs = this.#firstChangeUs(changes);
    const overloaded = (): boolean => this.#overloaded(limitUs, workLimitUs);
    for (const { op, config } of changes) {
      network.ops[op] = network.opTasks.place(op, config);
      this.#memory.countOp(op, network.ops[op], 1);
      this.#paths.setOp(op, network.opTasks.load(op, network.ops[op], 1));
    }
    if (overloaded()) return BEYOND;
    const entering: { geometry: EdgeGeometry; traffic: EdgeTraffic }[] = [];
    let tasks = network.tasks.size - pending.leaving;
    let leftUs = this.#workLeftUs(workLimitUs);
    for (const [edge] of pending.edges) {
      const geometry = network.edgeTasks.geometry(network.wiring.edges[edge]!);
      if (geometry === undefined) return BEYOND;
      const traffic = network.edgeTasks.traffic(network.wiring.edges[edge]!, geometry, leftUs);
      if (traffic === undefined) return BEYOND;
      leftUs -= traffic.workUs;
      network.loads.countEdge(traffic, 1);
      tasks += traffic.transfers;
      this.#paths.setEdge(edge, traffic);
      this.#countEdge(network.wiring.edges[edge]!, geometry, 1);
      if (tasks > MAX_TASKS || (geometry.count > MANY_PAIRS && overloaded())) return BEYOND;
      entering.push({ geometry, traffic });
    }
    if (overloaded() || this.#paths.boundUs() > limitUs * ROUNDING) return BEYOND;
    for (const [parameter] of pending.parameters) {
      const state = network.parameterTasks.make(network.wiring.parameters[parameter]!, this.#workLeftUs(workLimitUs));
      if (state === undefined) return BEYOND;
      network.parameters[parameter] = state;
      this.#memory.countParameter(state, 1);
      this.#paths.setParameter(parameter, state, network.tasks);
      if (overloaded()) return BEYOND;
    }
    for (const { op } of changes) network.ops[op] = network.opTasks.make(op, network.ops[op]!);
    if (overloaded() || this.#paths.boundUs() > limitUs * ROUNDING) return BEYOND;
    pending.edges.forEach(([edge], i) => {
      const { geometry, traffic } = entering[i]!;
      network.edges[edge] = network.edgeTasks.make(network.wiring.edges[edge]!, geometry, traffic);
    });
    const missingMemoryBytes = this.#memory.missingBytes(network.ops);
    if (missingMemoryBytes > 0) return { makespanUs: Number.NaN, missingMemoryBytes };
    const snapshot = Number.isNaN(this.#makespanUs) ? undefined : lastBefore(this.#snapshots, fromUs);
    const makespanUs = this.#replay.run({ snapshot, leaving: pending.leaving, limitUs });
    this.#replayedTasks = this.#replay.count;
    return { makespanUs, missingMemoryBytes };
  }

  /** Whether the tasks of one device or link alone take longer, or all of them together. */
  #overloaded(limitUs: number, workLimitUs: number): boolean {
    const { loads, resources } = this.#network;
    const loadUs = loads.us;
    const surelyUs = limitUs * ROUNDING;
    let sumUs = loads.transfers * MESSAGE_US;
    for (let resource = 0; resource < loadUs.length; resource++) {
      if (loadUs[resource]! > surelyUs) return true;
      sumUs += loadUs[resource]!;
    }
    return sumUs / resources.deviceCount > workLimitUs * ROUNDING;
  }

  /** By how much the work of all devices may still grow before it is certain to exceed the limit. */
  #workLeftUs(workLimitUs: number): number {
    const { resources, loads } = this.#network;
    return workLimitUs * ROUNDING * resources.deviceCount - loads.sumUs;
  }

  /**
   * A moment before which no task is new, gone, or waits for another: when the first of the tasks that feed a changed op was
   * ready. So no new or old task of the ops is queued in a snapshot from before.
   */
  #firstChangeUs(changes: readonly ConfigChange[]): number {
    const { wiring, ops, tasks } = this.#network;
    let fromUs = Infinity;
    for (const { op } of changes) {
      if (wiring.edgesIn[op]!.length === 0) return 0;
      for (const { producer } of wiring.edgesIn[op]!) {
        for (const task of ops[producer]!.forward.main) fromUs = Math.min(fromUs, tasks.readyUs[task]!);
      }
    }
    return fromUs;
  }

  #simulateWhole(): number {
    const makespanUs = this.#replay.run({ snapshot: undefined, leaving: 0, limitUs: Infinity });
    this.#snapshots = [];
    this.#order = this.#replay.accept(this.#order, this.#snapshots);
    return makespanUs;
  }
}

function tooFine(what: string): RangeError {
  return new RangeError(`${what} are split too finely to be simulated: split them less`);
}
