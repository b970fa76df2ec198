import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { nodeWriter } from './writer.ts';

/**
 * Channels as blocks of pixels, [N, C b^2, H, W] -> [N, C, H b, W b], as Reshape and Transpose: torch.nn.PixelShuffle is one of mode
 * CRD. Source: https://onnx.ai/onnx/operators/onnx__DepthToSpace.html @throws {OpError} for shapes that do not fit
 */
export function depthToSpaceAsMoves(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const { size, channels, height, width } = blocksOf(node, context);
  const mode = node.attributes['mode'];
  const isColumnFirst = mode?.type === 'string' && mode.value === 'CRD';
  const depth = channels / size ** 2;
  if (!Number.isInteger(depth)) {
    throw new OpError(`DepthToSpace has blocks of ${size} x ${size} for ${channels} channels; expected a multiple`);
  }
  const split = isColumnFirst ? [0, depth, size, size, height, width] : [0, size, size, depth, height, width];
  const order = isColumnFirst ? [0, 1, 4, 2, 5, 3] : [0, 3, 4, 1, 5, 2];
  return moved(node, split, order, [0, depth, height * size, width * size]);
}

/**
 * The other way round, [N, C, H b, W b] -> [N, b^2 C, H, W], the place in the block first.
 * Source: https://onnx.ai/onnx/operators/onnx__SpaceToDepth.html @throws {OpError} for shapes that do not fit
 */
export function spaceToDepthAsMoves(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const { size, channels, height, width } = blocksOf(node, context);
  const [rows, columns] = [height / size, width / size];
  if (!Number.isInteger(rows) || !Number.isInteger(columns)) {
    throw new OpError(`SpaceToDepth has blocks of ${size} x ${size} for [${height}, ${width}]; expected multiples`);
  }
  const split = [0, channels, rows, size, columns, size];
  return moved(node, split, [0, 3, 5, 1, 2, 4], [0, channels * size ** 2, rows, columns]);
}

function blocksOf(
  node: OnnxNode,
  context: ImportContext,
): { readonly size: number; readonly channels: number; readonly height: number; readonly width: number } {
  const [attribute, shape] = [node.attributes['blocksize'], context.shape(0)];
  const size = attribute?.type === 'int' ? attribute.value : 0;
  if (size < 1 || shape.length !== 4) {
    throw new OpError(`${node.opType} has blocks of ${size} for shape [${shape}]; expected [N, C, H, W] and 1 or more`);
  }
  const [, channels, height, width] = shape;
  return { size, channels: channels!, height: height!, width: width! };
}

/** Axes split, reordered and joined; 0 keeps the samples. */
function moved(
  node: OnnxNode,
  split: readonly number[],
  perm: readonly number[],
  joined: readonly number[],
): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  const apart = writer.add('Reshape', [node.inputs[0]!, writer.integers(split)]);
  const turned = writer.add('Transpose', [apart], { perm: { type: 'ints', value: perm } });
  writer.add('Reshape', [turned, writer.integers(joined)]);
  return writer.finish();
}
