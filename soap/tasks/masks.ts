import { ELEMENT_BYTES } from '../onnx/element-types.ts';
import type { Op } from '../graph/graph.ts';
import { opDefinition } from '../ops/index.ts';
import type { Part } from '../ops/op.ts';
import { regionVolume } from '../region/region.ts';

/** Whether an op drops elements at random in training, so that its parts read a mask. */
export function readsMask({ kind }: Pick<Op, 'kind'>): boolean {
  return opDefinition(kind).droppedShare !== undefined;
}

/** Bytes of the mask that a part reads; 0 where it reads none. */
export function maskBytes(op: Pick<Op, 'kind'>, { output }: Part): number {
  return readsMask(op) ? ELEMENT_BYTES.uint8 * regionVolume(output) : 0;
}
