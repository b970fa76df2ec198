import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { integerList, OpError } from '../../ops/op.ts';

/** Copies in all beyond which a Tile is not written out. */
const MOST_COPIES = 256;

/** A Tile as one Concat for each axis that is repeated. @throws {OpError} where repeats are computed, or of the samples */
export function tileAsConcats(node: OnnxNode, context: ImportContext): OnnxNode[] {
  const [given, shape] = [context.constant(1), context.shape(0)];
  if (given === undefined) throw new OpError('Tile has repeats that are computed; expected constants');
  const repeats = integerList(given);
  if (repeats.length !== shape.length || repeats.some((each) => each < 1)) {
    throw new OpError(`Tile repeats [${repeats}] of shape [${shape}]; expected a positive number for each axis`);
  }
  const copies = repeats.reduce((a, b) => a * b, 1);
  if (repeats[0] !== 1 || copies > MOST_COPIES) {
    throw new OpError(
      `Tile repeats [${repeats}]; expected 1 for the samples and at most ${MOST_COPIES} copies: use Expand for more`,
    );
  }
  const axes = repeats.flatMap((each, axis) => (each > 1 ? [axis] : []));
  if (axes.length === 0) return [{ ...node, opType: 'Identity', inputs: [node.inputs[0]!] }];
  let source = node.inputs[0]!;
  return axes.map((axis, i): OnnxNode => {
    const output = i === axes.length - 1 ? node.outputs[0]! : `${node.outputs[0]}:${axis}`;
    const inputs = Array.from({ length: repeats[axis]! }, () => source);
    source = output;
    const attributes = { axis: { type: 'int', value: axis } } as const;
    return { name: `${node.name}:${axis}`, opType: 'Concat', domain: '', inputs, outputs: [output], attributes };
  });
}
