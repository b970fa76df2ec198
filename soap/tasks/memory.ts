import { OPTIMIZER_STATES } from '../job/optimizer-states.ts';
import type { OptimizerName } from '../job/training-job.ts';
import type { Layout } from './layout.ts';
import { regionBytes } from './work.ts';

/** Bytes that a device needs for a parameter shard of so many: values, gradients, and what the optimizer remembers. */
export function shardMemoryBytes(bytes: number, optimizer: OptimizerName): number {
  return (2 + OPTIMIZER_STATES[optimizer].length) * bytes;
}

/** Bytes that a part needs: its outputs and their gradients, and the inputs that are no parameters. */
export function partMemoryBytes(outputBytes: number, inputBytes: number): number {
  return 2 * outputBytes + inputBytes;
}

/**
 * Bytes each device needs for an iteration, by device id: its parameter shards with gradients and optimizer state, and what
 * its parts read and write, all of which lives until the backward pass has used it.
 */
export function deviceMemoryBytes(layout: Layout, deviceCount: number, optimizer: OptimizerName = 'sgd'): Float64Array {
  const bytes = new Float64Array(deviceCount);
  for (const { devices, region } of layout.shards) {
    for (const device of devices) bytes[device]! += shardMemoryBytes(regionBytes(region), optimizer);
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
