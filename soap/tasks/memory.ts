import { regionVolume } from '../strategy/region.ts';
import type { Layout } from './layout.ts';
import { regionBytes } from './work.ts';

/** Copies of a parameter that training with momentum keeps: value, gradient, momentum. */
const COPIES_PER_PARAMETER = 3;

/**
 * Bytes each device needs for an iteration, by device id: its parameter shards with gradients and optimizer state, and what
 * its parts read and write, all of which lives until the backward pass has used it.
 */
export function deviceMemoryBytes(layout: Layout, deviceCount: number): Float64Array {
  const bytes = new Float64Array(deviceCount);
  for (const { devices, region } of layout.shards) {
    for (const device of devices) bytes[device]! += COPIES_PER_PARAMETER * regionBytes(region);
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
