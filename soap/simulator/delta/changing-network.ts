import type { OpConfig } from '../../strategy/strategy.ts';
import type { EdgeGeometry } from '../../tasks/geometry/edge-geometry.ts';
import type { MicroBatch } from '../../tasks/gradient-work.ts';
import { Bounds } from './bounds.ts';
import { MemoryUse } from './memory-use.ts';
import { Network } from './network.ts';
import type { NetworkProblem } from './network.ts';
import { PathBound } from './path-bound.ts';
import type { ConfigChange, Limits } from './proposal.ts';
import type { ReplacedStates } from './replaced-states.ts';
import { removeReplaced, restoreReplaced, statesToReplace } from './replaced-states.ts';
import type { EdgeTraffic } from './states.ts';
import { eachParameterTask, taskCount } from './states.ts';
import type { Edge } from './wiring.ts';

/** Pairs of an edge that are worth looking at the loads before the next edge. */
const MANY_PAIRS = 64;

/** Tasks of a strategy beyond which it is too fine to be planned: about 2 GB of them. */
const MAX_TASKS = 2 ** 24;

/** Changes kept after which the loads are added up anew. */
const REFRESH_EVERY = 4096;

/**
 * The network of one strategy with what it comes to, loads, memory, messages that are too large and the longest way through the ops, all kept while ops
 * change: {@link takeOut}, {@link putIn}, then {@link keep} or {@link putBack}.
 */
export class ChangingNetwork {
  readonly network: Network;
  readonly memory: MemoryUse;
  readonly #paths: PathBound;
  readonly #savedLoadUs: Float64Array;
  readonly #savedBytes: Float64Array;
  #savedPaths: readonly Float64Array[] = [];
  #savedTransfers = 0;
  #oversizedBytes = 0;
  #savedOversizedBytes = 0;
  #kept = 0;

  /**
   * @param mostTasks beyond which the strategy counts as too fine
   * @throws {RangeError} where the strategy is too fine to be simulated
   */
  constructor(
    problem: NetworkProblem,
    configs: readonly OpConfig[],
    microBatch: MicroBatch,
    mostTasks: number = Infinity,
  ) {
    const network = new Network(problem, microBatch);
    const { graph, accumulationSteps } = problem.training;
    this.network = network;
    this.memory = new MemoryUse(graph, problem.cluster, problem.optimizer ?? 'sgd', accumulationSteps);
    this.#paths = new PathBound(network.wiring);
    configs.forEach((config, op) => {
      const placed = network.opTasks.place(op, config);
      this.#paths.setOp(op, network.opTasks.load(op, placed, 1));
      network.ops.push(network.opTasks.make(op, placed));
      this.memory.countOp(op, placed, 1);
    });
    for (const edge of network.wiring.edges) {
      const geometry = network.edgeTasks.geometry(edge);
      if (geometry === undefined) {
        throw tooFine(`op '${graph.ops[edge.consumer]!.name}' and what it reads`);
      }
      const traffic = network.edgeTasks.traffic(edge, geometry);
      if (traffic === undefined) throw new Error('internal: an edge without limit was given up');
      if (network.tasks.size + traffic.transfers > Math.min(mostTasks, MAX_TASKS)) throw tooFine('the ops');
      this.#countEdge(edge, geometry, traffic);
      network.edges.push(network.edgeTasks.make(edge, geometry, traffic));
    }
    for (const parameter of network.wiring.parameters) {
      const state = network.parameterTasks.make(parameter);
      if (state === undefined) throw tooFine(`the readers of parameter '${graph.tensors[parameter.tensor]!.name}'`);
      network.parameters.push(state);
      this.#paths.setParameter(parameter.id, state, network.tasks);
      this.memory.countParameter(state, 1);
    }
    this.#savedLoadUs = new Float64Array(network.resources.count);
    this.#savedBytes = new Float64Array(network.resources.deviceCount);
  }

  /** What messages have beyond what one may have, in all. */
  get oversizedBytes(): number {
    return this.#oversizedBytes;
  }

  /**
   * Takes the changed ops and all around them out of what is counted; they stay in place until others take it.
   * @returns them, and how many tasks they have
   */
  takeOut(changes: readonly ConfigChange[]): [replaced: ReplacedStates, leaving: number] {
    const { network, memory } = this;
    const { loads, opTasks, wiring } = network;
    this.#savedLoadUs.set(loads.us);
    this.#savedTransfers = loads.transfers;
    this.#savedOversizedBytes = this.#oversizedBytes;
    this.#savedBytes.set(memory.bytes);
    this.#savedPaths = this.#paths.save();
    const replaced = statesToReplace(network, changes);
    let leaving = 0;
    const unload = (task: number): void => {
      loads.count(task, -1);
      leaving += 1;
    };
    for (const [op, state] of replaced.ops) {
      leaving += taskCount(state);
      opTasks.unload(op, state);
      memory.countOp(op, state, -1);
    }
    for (const [edge, { geometry, traffic }] of replaced.edges) {
      leaving += traffic.transfers;
      loads.countEdge(traffic, -1);
      this.#oversizedBytes -= traffic.oversizedBytes;
      this.#countCopies(wiring.edges[edge]!, geometry, -1);
    }
    for (const [parameter, state] of replaced.parameters) {
      this.#paths.forgetParameter(parameter);
      eachParameterTask(state, unload);
      memory.countParameter(state, -1);
    }
    return [replaced, leaving];
  }

  /**
   * Builds what is new, as long as no bound alone is certain to exceed the limits.
   * @param leaving tasks that are to go
   * @returns whether it was built
   */
  putIn(
    { edges, parameters }: ReplacedStates,
    leaving: number,
    changes: readonly ConfigChange[],
    limits: Limits,
  ): boolean {
    const { network, memory } = this;
    const { opTasks, edgeTasks, parameterTasks, wiring } = network;
    const bounds = new Bounds(network, this.#paths, limits);
    for (const { op, config } of changes) {
      network.ops[op] = opTasks.place(op, config);
      memory.countOp(op, network.ops[op], 1);
      this.#paths.setOp(op, opTasks.load(op, network.ops[op], 1));
    }
    if (bounds.areLoadsBeyond()) return false;
    const entering: { geometry: EdgeGeometry; traffic: EdgeTraffic }[] = [];
    let tasks = network.tasks.size - leaving;
    let leftUs = bounds.workLeftUs();
    for (const [id] of edges) {
      const edge = wiring.edges[id]!;
      const geometry = edgeTasks.geometry(edge);
      if (geometry === undefined) return false;
      const traffic = edgeTasks.traffic(edge, geometry, leftUs);
      if (traffic === undefined) return false;
      leftUs -= traffic.workUs;
      tasks += traffic.transfers;
      this.#countEdge(edge, geometry, traffic);
      if (tasks > MAX_TASKS || (geometry.count > MANY_PAIRS && bounds.areLoadsBeyond())) return false;
      entering.push({ geometry, traffic });
    }
    if (bounds.isBeyond()) return false;
    for (const [parameter] of parameters) {
      const state = parameterTasks.make(wiring.parameters[parameter]!, bounds.workLeftUs());
      if (state === undefined) return false;
      network.parameters[parameter] = state;
      memory.countParameter(state, 1);
      this.#paths.setParameter(parameter, state, network.tasks);
      if (bounds.areLoadsBeyond()) return false;
    }
    for (const { op } of changes) network.ops[op] = opTasks.make(op, network.ops[op]!);
    if (bounds.isBeyond()) return false;
    edges.forEach(([edge], i) => {
      const { geometry, traffic } = entering[i]!;
      network.edges[edge] = edgeTasks.make(wiring.edges[edge]!, geometry, traffic);
    });
    return true;
  }

  /** Makes the change the strategy. */
  keep(replaced: ReplacedStates): void {
    removeReplaced(this.network, replaced);
    this.#kept += 1;
    if (this.#kept % REFRESH_EVERY === 0) this.network.refreshLoads();
  }

  /** Puts everything back as it was before {@link takeOut}. */
  putBack(replaced: ReplacedStates): void {
    restoreReplaced(this.network, replaced);
    const { loads } = this.network;
    loads.us.set(this.#savedLoadUs);
    loads.transfers = this.#savedTransfers;
    this.#oversizedBytes = this.#savedOversizedBytes;
    this.memory.bytes.set(this.#savedBytes);
    this.#paths.restore(this.#savedPaths);
  }

  #countEdge(edge: Edge, geometry: EdgeGeometry, traffic: EdgeTraffic): void {
    this.network.loads.countEdge(traffic, 1);
    this.#oversizedBytes += traffic.oversizedBytes;
    this.#paths.setEdge(edge.id, traffic);
    this.#countCopies(edge, geometry, 1);
  }

  #countCopies({ producer, consumer }: Edge, geometry: EdgeGeometry, sign: 1 | -1): void {
    this.memory.countEdge(geometry, this.network.ops[producer]!, this.network.ops[consumer]!, sign);
  }
}

function tooFine(what: string): RangeError {
  return new RangeError(`${what} are split too finely to be simulated: split them less`);
}
