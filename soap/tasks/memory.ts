import { OPTIMIZER_STATES } from '../job/optimizer-states.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { sameRegion } from '../strategy/region.ts';
import type { Layout, PlacedPart } from './layout.ts';
import { inputPieces } from './layout.ts';
import { regionBytes } from './work.ts';

/**
 * Bytes that a device needs for a parameter shard of so many: values, gradients, what the optimizer remembers, and where a step
 * has several micro-batches the sum of their gradients.
 */
export function shardMemoryBytes(bytes: number, optimizer: OptimizerName, accumulationSteps: number = 1): number {
  const gradients = 1 + (accumulationSteps > 1 ? 1 : 0);
  return (1 + OPTIMIZER_STATES[optimizer].length + gradients) * bytes;
}

/** Bytes that a part needs: its outputs and their gradients, and the inputs that it gets as copies. */
export function partMemoryBytes(outputBytes: number, copiedBytes: number): number {
  return 2 * outputBytes + copiedBytes;
}

/**
 * Bytes each device would need for an iteration if nothing made room for anything else, by device id: its parameter shards with
 * gradients and optimizer state, and what its parts write, with gradients, and what they read from elsewhere. What one part of
 * the same device computes whole is read in place. Left out is that several readers of a parameter have a gradient each. What the
 * runtime allocates, which uses memory again, says `programMemory`.
 */
export function deviceMemoryBytes(layout: Layout, deviceCount: number, optimizer: OptimizerName = 'sgd'): Float64Array {
  const bytes = new Float64Array(deviceCount);
  const { accumulationSteps } = layout;
  for (const { devices, region } of layout.shards) {
    for (const device of devices) bytes[device]! += shardMemoryBytes(regionBytes(region), optimizer, accumulationSteps);
  }
  for (const part of layout.parts.flat()) {
    const op = layout.graph.ops[part.op]!;
    const outputBytes = part.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    const copied = op.inputs.map((_, input) => copiedBytes(layout, part, input));
    const sum = copied.reduce((a, b) => a + b, 0);
    bytes[part.device]! += partMemoryBytes(outputBytes, sum);
  }
  return bytes;
}

function copiedBytes(layout: Layout, part: PlacedPart, input: number): number {
  const region = part.inputs[input];
  const tensor = layout.graph.ops[part.op]!.inputs[input]!;
  if (region === undefined || layout.graph.tensors[tensor]!.role === 'parameter') return 0;
  return isReadInPlace(layout, part, input) ? 0 : regionBytes(region);
}

/** Whether what a part reads is just what one part of its device computes, so that it needs no copy. */
function isReadInPlace(layout: Layout, part: PlacedPart, input: number): boolean {
  const region = part.inputs[input];
  const source = layout.producers[layout.graph.ops[part.op]!.inputs[input]!];
  const [only, ...others] = inputPieces(layout, part, input);
  if (region === undefined || source === undefined || only === undefined || others.length > 0) return false;
  return only.producer.device === part.device && sameRegion(only.producer.outputs[source.output]!, region);
}
