import type { Network } from '../../simulator/delta/network.ts';
import { fastestPart } from '../../simulator/delta/path-bound.ts';
import type { OpState } from '../../simulator/delta/states.ts';
import { NONE } from '../../simulator/delta/states.ts';
import type { Edge } from '../../simulator/delta/wiring.ts';
import type { Layer } from './space.ts';

/** What an op costs, by choice of its layer. */
export interface OpCosts {
  /** Microseconds of its fastest part. */
  readonly forwardUs: Float64Array;
  readonly backwardUs: Float64Array;
  /** From the end of its backward pass until its slowest parameter is summed and updated somewhere. */
  readonly parametersUs: Float64Array;
  /** By choice, then device: microseconds of its backward tasks and the updates of its parameters. */
  readonly backwardLoadUs: Float64Array;
  /** By choice, then device or link: microseconds of its parameters' collectives. */
  readonly collectiveLoadUs: Float64Array;
  /** By choice: the shortest update. */
  readonly updateUs: Float64Array;
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
 * Works them out by putting choices into a network.
 * @param network empty; its tasks are of no use afterwards
 */
export function spaceCosts(network: Network, layers: readonly Layer[]): SpaceCosts {
  const choicesOf = new Map(
    layers.flatMap((layer) =>
      layer.ops.map((op, i) => [op, layer.choices.map((configs) => network.makeOp(op, configs[i]!))] as const),
    ),
  );
  const layerOf = new Map(layers.flatMap((layer) => layer.ops.map((op) => [op, layer] as const)));
  return {
    ops: network.wiring.edgesIn.map((_, op) => opCosts(network, op, choicesOf.get(op)!)),
    edges: network.wiring.edges.map((edge) => {
      const within = layerOf.get(edge.producer) === layerOf.get(edge.consumer);
      return edgeCosts(network, edge, choicesOf.get(edge.producer)!, choicesOf.get(edge.consumer)!, within);
    }),
  };
}

function opCosts(network: Network, op: number, choices: readonly OpState[]): OpCosts {
  const { tasks, resources } = network;
  const { deviceCount, count } = resources;
  const costs = {
    forwardUs: new Float64Array(choices.length),
    backwardUs: new Float64Array(choices.length),
    parametersUs: new Float64Array(choices.length),
    backwardLoadUs: new Float64Array(choices.length * deviceCount),
    collectiveLoadUs: new Float64Array(choices.length * count),
    updateUs: new Float64Array(choices.length),
  };
  choices.forEach((state, choice) => {
    network.ops[op] = state;
    costs.forwardUs[choice] = fastestPart(state.forward, tasks);
    costs.backwardUs[choice] = state.backward === undefined ? 0 : fastestPart(state.backward, tasks);
    const loadDevice = (task: number): void => {
      if (task !== NONE) costs.backwardLoadUs[choice * deviceCount + tasks.set[task]!]! += tasks.amount[task]!;
    };
    if (state.backward !== undefined) for (const list of [state.backward.main, state.backward.statistics]) list.forEach(loadDevice);
    let shortestUs = Infinity;
    for (const { parameter } of network.wiring.reads[op]!) {
      const known = network.wiring.parameters[parameter]!;
      // What others read too is cut by their choices as well.
      if (known.readers.length > 1) continue;
      const { collective, updates, shardOfUpdate } = network.makeParameter(known);
      let slowestUs = 0;
      updates.forEach((task, update) => {
        loadDevice(task);
        const sum = collective[shardOfUpdate[update]!]!;
        const afterUs = (sum === NONE ? 0 : tasks.amount[sum]!) + tasks.amount[task]!;
        slowestUs = Math.max(slowestUs, afterUs);
        shortestUs = Math.min(shortestUs, tasks.amount[task]!);
      });
      costs.parametersUs[choice] = Math.max(costs.parametersUs[choice]!, slowestUs);
      for (const task of collective) {
        if (task === NONE) continue;
        for (const link of resources.sets[tasks.set[task]!]!) {
          costs.collectiveLoadUs[choice * count + link]! += tasks.amount[task]!;
        }
      }
    }
    costs.updateUs[choice] = shortestUs === Infinity ? 0 : shortestUs;
  });
  return costs;
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
    // Too many pairs to be simulated.
    const delay =
      geometry === undefined ? { activationUs: Infinity, gradientUs: Infinity } : network.loadEdge(edge, geometry, 1);
    activationUs[at] = delay.activationUs;
    gradientUs[at] = delay.gradientUs;
  }
  return { activationUs, gradientUs };
}
