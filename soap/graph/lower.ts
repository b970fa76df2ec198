import type { OnnxNode } from '../onnx/model.ts';
import type { ImportContext } from '../ops/op.ts';
import { castLikeAsCast } from './lowering/cast-like.ts';
import { einsumAsProduct } from './lowering/einsum.ts';
import { isNanAsUnequal } from './lowering/is-nan.ts';
import { resizeAsProducts } from './lowering/resize.ts';
import { elementAsSlice } from './lowering/sequence.ts';
import { splitAsSlices } from './lowering/split.ts';
import { tileAsConcats } from './lowering/tile.ts';

/** How nodes are written as others, where there is no op that is as much. */
const LOWERINGS: Readonly<Record<string, (node: OnnxNode, context: ImportContext) => OnnxNode[]>> = {
  CastLike: castLikeAsCast,
  Einsum: einsumAsProduct,
  IsNaN: isNanAsUnequal,
  Resize: resizeAsProducts,
  SequenceAt: elementAsSlice,
  Split: splitAsSlices,
  Tile: tileAsConcats,
};

/** Whether an operator type is one that {@link lowerNode} writes as others. */
export function isLowered({ domain, opType }: OnnxNode): boolean {
  return domain === '' && Object.hasOwn(LOWERINGS, opType);
}

/**
 * Writes a node as others.
 * @returns undefined where the node stays as it is
 * @throws {OpError} for a variant that cannot be written so
 */
export function lowerNode(node: OnnxNode, context: ImportContext): OnnxNode[] | undefined {
  return isLowered(node) ? LOWERINGS[node.opType]!(node, context) : undefined;
}
