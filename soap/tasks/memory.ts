import type { Layout } from './layout.ts';
import { regionBytes } from './work.ts';

/** Copies of a parameter that training with momentum keeps: value, gradient, momentum. */
const COPIES_PER_PARAMETER = 3;

/** Bytes that a device needs for a parameter shard of so many: its values, gradients and optimizer state. */
export function shardMemoryBytes(bytes: number): number {
  return COPIES_PER_PARAMETER * bytes;
}

/** Bytes that a part needs: its outputs and their gradients, and the inputs that are no parameters. */
export function partMemoryBytes(outputBytes: number, inputBytes: number): number {
  return 2 * outputBytes + inputBytes;
}

/**
 * Bytes each device needs for an iteration, by device id: its parameter shards with gradients and optimizer state, and what
 * its parts read and write, all of which lives until the backward pass has used it.
 */
export function deviceMemoryBytes(layout: Layout, deviceCount: number): Float64Array {
  const bytes = new Float64Array(deviceCount);
  for (const { devices, region } of layout.shards) {
    for (const device of devices) bytes[device]! += shardMemoryBytes(regionBytes(region));
  }
  for (const part of layout.parts.flat()) {
    const op = layout.graph.ops[part.op]!;
    const outputBytes = part.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    let inputBytes = 0;
    op.inputs.forEach((tensor, input) => {
      const region = part.inputs[input];
      if (region === undefined || layout.graph.tensors[tensor]!.role === 'parameter') return;
      inputBytes += regionBytes(region);
    });
    bytes[part.device]! += partMemoryBytes(outputBytes, inputBytes);
  }
  return bytes;
}
