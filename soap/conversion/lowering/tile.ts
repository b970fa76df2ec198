import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { integerList, OpError } from '../../ops/op.ts';
import type { Shape } from '../../graph/graph.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

/** Copies in all beyond which a Tile is not written out. */
const MOST_COPIES = 256;

/**
 * A Tile as one Concat for each axis that is repeated; along the first one, as an Expand, which is as short for any number of samples:
 * DeBERTa repeats its positions for each.
 * Source: https://onnx.ai/onnx/operators/onnx__Tile.html
 * @throws {OpError} where repeats are computed
 */
export function tileAsCopies(node: OnnxNode, context: ImportContext): readonly OnnxNode[] {
  const [given, shape] = [context.constant(1), context.shape(0)];
  if (given === undefined) throw new OpError('Tile has repeats that are computed; expected constants');
  const repeats = integerList(given);
  if (repeats.length !== shape.length || repeats.some((each) => each < 1)) {
    throw new OpError(`Tile repeats [${repeats}] of shape [${shape}]; expected a positive number for each axis`);
  }
  const copies = repeats.slice(1).reduce((a, b) => a * b, 1);
  if (copies > MOST_COPIES) {
    throw new OpError(
      `Tile repeats [${repeats}]; expected at most ${MOST_COPIES} copies behind the first axis: use Expand for more`,
    );
  }
  const writer = nodeWriter(node);
  const inner = repeats.slice(1).reduce((value, each, i) => {
    const axis = { type: 'int', value: i + 1 } as const;
    return each === 1
      ? value
      : writer.add(
          'Concat',
          Array.from({ length: each }, () => value),
          { axis },
        );
  }, node.inputs[0]!);
  if (repeats[0]! > 1) {
    const extents = shape.slice(1).map((extent, i) => extent * repeats[i + 1]!);
    repeatFirst(writer, inner, repeats[0]!, [shape[0]!, ...extents]);
  } else writer.add('Identity', [inner]);
  return writer.finish();
}

/** [N, ...] as [times, N, ...], and that as [times N, ...]. */
function repeatFirst(writer: NodeWriter, value: string, times: number, [first, ...others]: Shape): void {
  const apart = writer.add('Unsqueeze', [value, writer.integers([0])]);
  const repeated = writer.add('Expand', [apart, writer.integers([times, first!, ...others])]);
  writer.add('Reshape', [repeated, writer.integers([-1, ...others])]);
}
