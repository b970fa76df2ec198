import type { Graph } from '../../graph/graph.ts';
import type { Network } from '../../simulator/delta/network.ts';
import type { Wiring } from '../../simulator/delta/wiring.ts';
import { Alignment } from '../../strategy/alignment.ts';
import type { OpConfig } from '../../strategy/strategy.ts';
import { degreesUpTo, placementsOf } from './placements.ts';
import type { DeviceLists } from './placements.ts';

/** An op that is split freely, first, and those that follow it; ascending. */
export interface Layer {
  readonly ops: readonly number[];
  /** Every way to split them: configurations aligned with `ops`. */
  readonly choices: readonly (readonly OpConfig[])[];
}

/** Which strategies are looked at. */
export interface SpaceOptions {
  readonly devices: DeviceLists;
  /** Parts of an op on one device, at most; equally many on each of its devices. */
  readonly partsPerDevice: number;
  /**
   * Whether ops without parameters are cut and placed as the op that they read first; splits of that op that they cannot
   * follow are then left out. Else every op is split freely.
   */
  readonly followers: boolean;
}

/** The strategies of a space: per layer, all degrees that divide its dimensions, on all placements of a kind. */
export function layersOf(graph: Graph, network: Network, deviceCount: number, options: SpaceOptions): Layer[] {
  const { devices: lists, partsPerDevice } = options;
  const { wiring } = network;
  const alignment = new Alignment(graph);
  const leaderOf = options.followers ? leadersOf(wiring) : graph.ops.map(({ id }) => id);
  return [...Map.groupBy(leaderOf.keys(), (op) => leaderOf[op]!).values()].map((ops) => {
    const [leader, ...followers] = ops;
    const dimensions = network.geometries.dimensions(leader!);
    const choices = degreesUpTo(dimensions, deviceCount * partsPerDevice).flatMap((degrees) =>
      placementsOf(degrees, deviceCount, lists, partsPerDevice).map((devices): OpConfig => ({ degrees, devices })),
    );
    return { ops, choices: choices.flatMap((config) => followed(wiring, alignment, leader!, followers, config)) };
  });
}

/** How many strategies there are. */
export function spaceSize(layers: readonly Layer[]): number {
  return layers.reduce((product, { choices }) => product * choices.length, 1);
}

/** By op: the op that it follows, directly or not; itself where it follows none. */
export function leadersOf({ edgesIn, reads }: Pick<Wiring, 'edgesIn' | 'reads'>): number[] {
  const leaders: number[] = [];
  edgesIn.forEach((edges, op) => {
    const [first] = edges;
    leaders.push(reads[op]!.length > 0 || first === undefined ? op : leaders[first.producer]!);
  });
  return leaders;
}

/** The configurations of an op and its followers; none where one cannot follow. */
function followed(
  { edgesIn }: Wiring,
  alignment: Alignment,
  leader: number,
  followers: readonly number[],
  config: OpConfig,
): OpConfig[][] {
  const configs = new Map([[leader, config]]);
  for (const op of followers) {
    const [first] = edgesIn[op]!;
    const next = alignment.follow(first!, configs.get(first!.producer)!);
    if (next === undefined) return [];
    configs.set(op, next);
  }
  return [[...configs.values()]];
}
