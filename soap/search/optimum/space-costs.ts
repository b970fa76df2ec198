import type { Cluster } from '../../cluster/cluster.ts';
import type { Network } from '../../simulator/delta/network.ts';
import type { OpState, ParameterState } from '../../simulator/delta/states.ts';
import { NONE } from '../../simulator/delta/states.ts';
import type { Edge } from '../../simulator/delta/wiring.ts';
import type { Layer } from './space.ts';

/** What an op costs, by choice of its layer. */
export interface OpCosts {
  /** Microseconds of its fastest part. */
  readonly forwardUs: Float64Array;
  readonly backwardUs: Float64Array;
  /** From the end of its backward pass until its slowest parameter is summed and updated, at least. */
  readonly parametersUs: Float64Array;
  /** Of the shortest update of its parameters; 0 where it has none. */
  readonly updateUs: Float64Array;
  /** By choice, then device or link: microseconds of its backward tasks, and of its parameters' collectives and updates. */
  readonly loadUs: Float64Array;
}

/** What an edge costs, by choice of the producer's layer, then of the consumer's; within a layer by its choice. */
export interface EdgeCosts {
  readonly activationUs: Float64Array;
  readonly gradientUs: Float64Array;
}

/** The costs of every choice that a bound is made of: the numbers of the delta simulation's own tasks. */
export interface SpaceCosts {
  readonly ops: readonly OpCosts[];
  readonly edges: readonly EdgeCosts[];
}

/**
 * Works them out by putting every choice into a network.
 * @param network empty; its tasks and loads are of no use afterwards
 */
export function spaceCosts(network: Network, cluster: Cluster, layers: readonly Layer[]): SpaceCosts {
  const statesOf = new Map(
    layers.flatMap((layer) =>
      layer.ops.map((op, i) => [op, layer.choices.map((configs) => network.placeOp(op, configs[i]!))] as const),
    ),
  );
  const layerOf = new Map(layers.flatMap((layer) => layer.ops.map((op) => [op, layer] as const)));
  return {
    ops: network.wiring.edgesIn.map((_, op) => opCosts(network, cluster, op, statesOf.get(op)!)),
    edges: network.wiring.edges.map((edge) => {
      const within = layerOf.get(edge.producer) === layerOf.get(edge.consumer);
      return edgeCosts(network, edge, statesOf.get(edge.producer)!, statesOf.get(edge.consumer)!, within);
    }),
  };
}

function opCosts(network: Network, cluster: Cluster, op: number, states: readonly OpState[]): OpCosts {
  const { count } = network.resources;
  const costs = {
    forwardUs: new Float64Array(states.length),
    backwardUs: new Float64Array(states.length),
    parametersUs: new Float64Array(states.length),
    updateUs: new Float64Array(states.length),
    loadUs: new Float64Array(states.length * count),
  };
  states.forEach((state, choice) => {
    network.ops[op] = state;
    const { forwardUs, backwardUs } = network.loadOp(op, state);
    costs.forwardUs[choice] = forwardUs;
    costs.backwardUs[choice] = backwardUs;
    const loadUs = costs.loadUs.subarray(choice * count, (choice + 1) * count);
    if (network.wiring.hasBackward[op] === true) loadBackward(cluster, state, loadUs);
    let shortestUs = Infinity;
    for (const { parameter } of network.wiring.reads[op]!) {
      const known = network.wiring.parameters[parameter]!;
      // How a parameter is cut that others read too depends on their choices as well.
      if (known.readers.length > 1) continue;
      const made = network.makeParameter(known);
      const { slowestUs, updateUs } = loadParameter(network, made, loadUs);
      costs.parametersUs[choice] = Math.max(costs.parametersUs[choice]!, slowestUs);
      shortestUs = Math.min(shortestUs, updateUs);
    }
    costs.updateUs[choice] = shortestUs === Infinity ? 0 : shortestUs;
  });
  return costs;
}

/** Adds the backward tasks of an op to the loads of its devices. */
function loadBackward(cluster: Cluster, { geometry, devices }: OpState, loadUs: Float64Array): void {
  const { parts, groups, groupOf, backwardStatisticsBytes } = geometry;
  for (let part = 0; part < parts; part++) {
    const times = geometry.durations(cluster.devices[devices[part]!]!);
    const group = groupOf[part]!;
    const exchanges = groups[group]!.length > 1 && backwardStatisticsBytes[group]! > 0;
    loadUs[devices[part]!]! += times.backwardUs[part]! + (exchanges ? times.backwardStatisticsUs[part]! : 0);
  }
}

/** Adds the collectives and updates of a parameter to the loads. */
function loadParameter(
  { tasks, resources }: Network,
  { collective, updates, shardOfUpdate }: ParameterState,
  loadUs: Float64Array,
): { slowestUs: number; updateUs: number } {
  let [slowestUs, updateUs] = [0, Infinity];
  for (const task of collective) {
    if (task === NONE) continue;
    for (const link of resources.sets[tasks.set[task]!]!) loadUs[link]! += tasks.amount[task]!;
  }
  updates.forEach((task, update) => {
    const sum = collective[shardOfUpdate[update]!]!;
    const [ownUs, sumUs] = [tasks.amount[task]!, sum === NONE ? 0 : tasks.amount[sum]!];
    loadUs[tasks.set[task]!]! += ownUs;
    slowestUs = Math.max(slowestUs, sumUs + ownUs);
    updateUs = Math.min(updateUs, ownUs);
  });
  return { slowestUs, updateUs };
}

function edgeCosts(
  network: Network,
  edge: Edge,
  producers: readonly OpState[],
  consumers: readonly OpState[],
  within: boolean,
): EdgeCosts {
  const size = within ? producers.length : producers.length * consumers.length;
  const [activationUs, gradientUs] = [new Float64Array(size), new Float64Array(size)];
  for (let at = 0; at < size; at++) {
    network.ops[edge.producer] = producers[within ? at : Math.floor(at / consumers.length)]!;
    network.ops[edge.consumer] = consumers[within ? at : at % consumers.length]!;
    const geometry = network.edgeGeometry(edge);
    // Where there are too many pairs, it cannot be simulated.
    const delay = geometry === undefined ? undefined : network.loadEdge(edge, geometry, 1);
    activationUs[at] = delay?.activationUs ?? Infinity;
    gradientUs[at] = delay?.gradientUs ?? Infinity;
  }
  return { activationUs, gradientUs };
}
