import { OPTIMIZER_STATES } from '../job/optimizer-states.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { sameRegion } from '../region/region.ts';
import type { Layout, PlacedPart } from './layout.ts';
import { inputPieces } from './layout.ts';
import { opNeeds } from './liveness/op-needs.ts';
import { regionBytes } from './work.ts';

/**
 * Bytes that a device needs for a parameter shard of so many: values, and where it is trained gradients, what the optimizer remembers,
 * and where a step has several micro-batches the sum of their gradients.
 */
export function shardMemoryBytes(
  bytes: number,
  isTrained: boolean,
  optimizer: OptimizerName,
  accumulationSteps: number = 1,
): number {
  if (!isTrained) return bytes;
  const gradients = 1 + (accumulationSteps > 1 ? 1 : 0);
  return (1 + OPTIMIZER_STATES[optimizer].length + gradients) * bytes;
}

/**
 * Bytes that a part needs: its outputs and their gradients, what it saves for its backward pass, and the inputs that it gets as
 * copies. A whole number where the others are.
 * @param savedShare of the op: see `OpNeeds`
 */
export function partMemoryBytes(outputBytes: number, savedShare: number, copiedBytes: number): number {
  return 2 * outputBytes + Math.round(savedShare * outputBytes) + copiedBytes;
}

/**
 * Bytes of an input that a part gets as a copy. One that is all that another device computes is a message as it is, and so is its
 * gradient, which is left alone until the pass is over.
 */
export function copyMemoryBytes(bytes: number, isWholeOutput: boolean): number {
  return isWholeOutput ? 2 * bytes : bytes;
}

/**
 * Bytes each device would need for an iteration if nothing made room for anything else, by device id: its parameter shards with
 * gradients and optimizer state, and what its parts write and save, with gradients, and what they read from elsewhere. What one part
 * of the same device computes whole is read in place. What the runtime allocates, which uses memory again, says `programMemory`.
 */
export function deviceMemoryBytes(layout: Layout, deviceCount: number, optimizer: OptimizerName = 'sgd'): Float64Array {
  const bytes = new Float64Array(deviceCount);
  const { accumulationSteps } = layout;
  const { savedShare } = opNeeds(layout.graph);
  for (const { devices, region, isTrained } of layout.shards) {
    const shardBytes = shardMemoryBytes(regionBytes(region), isTrained, optimizer, accumulationSteps);
    for (const device of devices) bytes[device]! += shardBytes;
  }
  for (const part of layout.parts.flat()) {
    const op = layout.graph.ops[part.op]!;
    const outputBytes = part.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    const copied = op.inputs.map((_, input) => copiedBytes(layout, part, input));
    const sum = copied.reduce((a, b) => a + b, 0);
    bytes[part.device]! += partMemoryBytes(outputBytes, savedShare[op.id]!, sum);
  }
  return bytes;
}

function copiedBytes(layout: Layout, part: PlacedPart, input: number): number {
  const region = part.inputs[input];
  const tensor = layout.graph.ops[part.op]!.inputs[input]!;
  if (region === undefined) return 0;
  if (layout.graph.tensors[tensor]!.role === 'parameter') {
    // A box of several shards is kept beside them.
    const isShard = layout.shards.some((shard) => shard.tensor === tensor && sameRegion(shard.region, region));
    return isShard ? 0 : regionBytes(region);
  }
  const source = layout.producers[tensor];
  const [only, ...others] = inputPieces(layout, part, input);
  const isWholeOutput =
    source !== undefined &&
    only !== undefined &&
    others.length === 0 &&
    sameRegion(only.producer.outputs[source.output]!, region);
  if (isWholeOutput && only.producer.device === part.device) return 0;
  return copyMemoryBytes(regionBytes(region), isWholeOutput);
}
