import { OPTIMIZER_STATES } from '../job/optimizer-states.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { regionVolume } from '../strategy/region.ts';
import type { Layout } from './layout.ts';
import { regionBytes } from './work.ts';

/** Copies of a parameter that training keeps: value, gradient, and what the optimizer remembers. */
function parameterCopies(optimizer: OptimizerName): number {
  return 2 + OPTIMIZER_STATES[optimizer].length;
}

/**
 * Bytes each device needs for an iteration, by device id: its parameter shards with gradients and optimizer state, and what
 * its parts read and write, all of which lives until the backward pass has used it.
 */
export function deviceMemoryBytes(layout: Layout, deviceCount: number, optimizer: OptimizerName = 'sgd'): Float64Array {
  const copies = parameterCopies(optimizer);
  const bytes = new Float64Array(deviceCount);
  for (const { devices, region } of layout.shards) {
    for (const device of devices) bytes[device]! += copies * regionBytes(region);
  }
  for (const part of layout.parts.flat()) {
    const op = layout.graph.ops[part.op]!;
    let elements = part.outputs.reduce((sum, region) => sum + 2 * regionVolume(region), 0);
    op.inputs.forEach((tensor, input) => {
      const region = part.inputs[input];
      if (region !== undefined && layout.graph.tensors[tensor]!.role !== 'parameter') elements += regionVolume(region);
    });
    bytes[part.device]! += 4 * elements;
  }
  return bytes;
}
