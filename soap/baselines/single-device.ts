import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { wholeConfig } from './configs.ts';

/** Every op in one part on the first device. */
export function singleDevice(graph: Graph): Strategy {
  return { configs: graph.ops.map((op) => wholeConfig(opDimensions(graph, op), 0)) };
}
