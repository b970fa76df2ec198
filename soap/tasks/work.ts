import type { TaskWork } from '../cost/cost-source.ts';
import type { Graph } from '../graph/graph.ts';
import { opDefinition } from '../ops/index.ts';
import type { Region } from '../strategy/region.ts';
import { regionShape, regionVolume } from '../strategy/region.ts';
import type { PlacedPart } from './layout.ts';

/** float32. Indices are int64 on disk and in kernels, but small beside the values; they count the same. */
const BYTES_PER_ELEMENT = 4;

/** Bytes of a region of values. */
export function regionBytes(region: Region): number {
  return regionVolume(region) * BYTES_PER_ELEMENT;
}

/** What a part's forward or backward task does. The backward pass reads what the forward one did and writes gradients. */
export function partWork(graph: Graph, part: PlacedPart, direction: 'forward' | 'backward'): TaskWork {
  const op = graph.ops[part.op]!;
  const definition = opDefinition(op.kind);
  const inputBytes = part.inputs.reduce((sum, region) => sum + regionBytes(region), 0);
  const bytes = inputBytes + regionBytes(part.output);
  const shapes = [...part.inputs, part.output].map((region) => regionShape(region).join('x')).join(',');
  return {
    signature: `${op.kind}(${shapes})${JSON.stringify(op.attributes)}`,
    direction,
    flops: direction === 'forward' ? definition.forwardFlops(part) : definition.backwardFlops(part),
    memoryBytes: direction === 'forward' ? bytes : 2 * bytes,
  };
}

/** What the optimizer does to a shard: reads weight, gradient and state, writes weight and state. */
export function updateWork(region: Region): TaskWork {
  const elements = regionVolume(region);
  return {
    signature: `update(${elements})`,
    direction: 'update',
    flops: 6 * elements,
    memoryBytes: 5 * elements * BYTES_PER_ELEMENT,
  };
}
