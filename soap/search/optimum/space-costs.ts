import type { Cluster } from '../../cluster/cluster.ts';
import type { Network } from '../../simulator/delta/network.ts';
import type { OpState } from '../../simulator/delta/states.ts';
import { NONE } from '../../simulator/delta/states.ts';
import type { Edge } from '../../simulator/delta/wiring.ts';
import { edgeDelays } from './edge-delays.ts';
import { passTimes } from './pass-times.ts';
import type { PassTimes } from './pass-times.ts';
import type { Layer } from './space.ts';

/** What an op costs, by choice of its layer. All times count from when the first of its parts can begin the pass. */
export interface OpCosts {
  /** Microseconds until its first part is through its forward pass. */
  readonly forwardUs: Float64Array;
  /** Until all its parts are through their backward pass, and all its parameters summed and updated. */
  readonly finishUs: Float64Array;
  /** Until the gradient of the first of its parameters' shards is there; Infinity where it has none of its own. */
  readonly gradientUs: Float64Array;
  /** The shortest update of its parameters. */
  readonly updateUs: Float64Array;
  /** By choice, then device or link: microseconds of its backward tasks, and of its parameters' collectives and updates. */
  readonly loadUs: Float64Array;
}

/**
 * By choice of the producer's layer, then of the consumer's; within a layer by its choice: from when the first part of the
 * one op can begin to when the first part of the other can.
 */
export interface EdgeCosts {
  /** From the producer's forward pass to the consumer's. */
  readonly activationUs: Float64Array;
  /** From the consumer's backward pass to the producer's. */
  readonly gradientUs: Float64Array;
}

/** The costs of every choice that a bound is made of: the numbers of the delta simulation's own tasks. */
export interface SpaceCosts {
  readonly ops: readonly OpCosts[];
  readonly edges: readonly EdgeCosts[];
}

/** A choice of an op: where its parts are, and how long they take. */
interface PlacedChoice {
  readonly state: OpState;
  readonly times: PassTimes;
}

/**
 * Works them out by putting every choice into a network.
 * @param network empty; its tasks and loads are of no use afterwards
 */
export function spaceCosts(network: Network, cluster: Cluster, layers: readonly Layer[]): SpaceCosts {
  const choicesOf = new Map<number, PlacedChoice[]>();
  const layerOf = new Map<number, Layer>();
  for (const layer of layers) {
    layer.ops.forEach((op, i) => {
      layerOf.set(op, layer);
      const states = layer.choices.map((configs) => network.opTasks.place(op, configs[i]!));
      choicesOf.set(
        op,
        states.map((state) => ({ state, times: passTimes(cluster, state) })),
      );
    });
  }
  return {
    ops: network.wiring.edgesIn.map((_, op) => opCosts(network, op, choicesOf.get(op)!)),
    edges: network.wiring.edges.map((edge) => {
      const within = layerOf.get(edge.producer) === layerOf.get(edge.consumer);
      return edgeCosts(network, edge, choicesOf.get(edge.producer)!, choicesOf.get(edge.consumer)!, within);
    }),
  };
}

function opCosts(network: Network, op: number, choices: readonly PlacedChoice[]): OpCosts {
  const { count } = network.resources;
  const costs = {
    forwardUs: new Float64Array(choices.length),
    finishUs: new Float64Array(choices.length),
    gradientUs: new Float64Array(choices.length).fill(Infinity),
    updateUs: new Float64Array(choices.length).fill(Infinity),
    loadUs: new Float64Array(choices.length * count),
  };
  choices.forEach(({ state, times }, choice) => {
    costs.forwardUs[choice] = Math.min(...times.forwardUs);
    if (network.wiring.hasBackward[op] !== true) return;
    network.ops[op] = state;
    const loadUs = costs.loadUs.subarray(choice * count, (choice + 1) * count);
    state.devices.forEach((device, part) => (loadUs[device]! += times.backwardUs[part]!));
    let finishUs = Math.max(...loadUs);
    for (const { parameter } of network.wiring.reads[op]!) {
      const { isTrained, readers } = network.wiring.parameters[parameter]!;
      // How a parameter is cut that others read too depends on their choices as well.
      if (!isTrained || readers.length > 1) continue;
      const sums = parameterTimes(network, parameter, times, state, loadUs);
      finishUs = Math.max(finishUs, sums.finishUs);
      costs.gradientUs[choice] = Math.min(costs.gradientUs[choice]!, sums.gradientUs);
      costs.updateUs[choice] = Math.min(costs.updateUs[choice]!, sums.updateUs);
    }
    costs.finishUs[choice] = finishUs;
  });
  return costs;
}

/** Adds the collectives and updates of a parameter to the loads, and says when they can be done. */
function parameterTimes(
  network: Network,
  parameter: number,
  { backwardUs }: PassTimes,
  { devices }: OpState,
  loadUs: Float64Array,
): { readonly finishUs: number; readonly gradientUs: number; readonly updateUs: number } {
  const { tasks, resources, wiring } = network;
  const state = network.parameterTasks.make(wiring.parameters[parameter]!);
  // Where there are too many shards, it cannot be simulated.
  if (state === undefined) return { finishUs: Infinity, gradientUs: Infinity, updateUs: Infinity };
  const { geometry, collective, fromShard, updates } = state;
  let [finishUs, gradientUs, updateUs] = [0, Infinity, Infinity];
  for (let shard = 0; shard < geometry.count; shard++) {
    const readerUs = new Map<number, number>();
    for (const read of geometry.reads.subarray(geometry.fromShard[shard], geometry.fromShard[shard + 1])) {
      const part = geometry.readPart[read]!;
      readerUs.set(devices[part]!, (readerUs.get(devices[part]!) ?? 0) + backwardUs[part]!);
    }
    let readyUs = Math.max(...readerUs.values());
    const sum = collective[shard]!;
    gradientUs = Math.min(gradientUs, readyUs);
    if (sum !== NONE) {
      for (const link of resources.sets[tasks.set[sum]!]!) loadUs[link]! += tasks.amount[sum]!;
      readyUs += tasks.amount[sum]!;
    }
    for (const update of updates.subarray(fromShard[shard], fromShard[shard + 1])) {
      const ownUs = tasks.amount[update]!;
      const ownReadyUs = sum === NONE ? readerUs.get(tasks.set[update]!)! : readyUs;
      loadUs[tasks.set[update]!]! += ownUs;
      finishUs = Math.max(finishUs, ownReadyUs + ownUs);
      updateUs = Math.min(updateUs, ownUs);
    }
  }
  return { finishUs, gradientUs, updateUs };
}

function edgeCosts(
  network: Network,
  edge: Edge,
  producers: readonly PlacedChoice[],
  consumers: readonly PlacedChoice[],
  within: boolean,
): EdgeCosts {
  const size = within ? producers.length : producers.length * consumers.length;
  const [activationUs, gradientUs] = [new Float64Array(size), new Float64Array(size)];
  for (let at = 0; at < size; at++) {
    const producer = producers[within ? at : Math.floor(at / consumers.length)]!;
    const consumer = consumers[within ? at : at % consumers.length]!;
    network.ops[edge.producer] = producer.state;
    network.ops[edge.consumer] = consumer.state;
    const geometry = network.edgeTasks.geometry(edge);
    // Where there are too many pairs, it cannot be simulated.
    const delays = geometry === undefined ? undefined : edgeDelays(network.resources, geometry, producer, consumer);
    activationUs[at] = delays?.activationUs ?? Infinity;
    gradientUs[at] = edge.hasGradient ? (delays?.gradientUs ?? Infinity) : 0;
  }
  return { activationUs, gradientUs };
}
