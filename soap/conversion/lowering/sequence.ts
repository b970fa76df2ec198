import type { OnnxNode } from '../../onnx/model.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { integerList, OpError } from '../../ops/op.ts';

/**
 * One of the tensors that a SplitToSequence makes, by a SequenceAt of it, as a node of what both read: what is split, the lengths
 * of the parts, and which one it is.
 */
export function elementOfSplit(split: OnnxNode, element: OnnxNode): OnnxNode {
  const inputs = [split.inputs[0] ?? '', split.inputs[1] ?? '', element.inputs[1] ?? ''];
  return { ...element, inputs, attributes: split.attributes };
}

/**
 * An {@link elementOfSplit} as a Slice: PyTorch's exporter writes `chunk` and `split` so, before it optimizes.
 * Source: https://onnx.ai/onnx/operators/onnx__SplitToSequence.html
 * @throws {OpError} where the lengths or the position are computed or left out, or do not fit
 */
export function elementAsSlice(node: OnnxNode, context: ImportContext): OnnxNode[] {
  const [attribute, shape] = [node.attributes['axis'], context.shape(0)];
  const given = attribute?.type === 'int' ? attribute.value : 0;
  const axis = nodeAxis(node, given, shape.length);
  const [lengths, at, extent] = [context.constant(1), context.scalar(2), shape[axis]!];
  if (lengths === undefined || at === undefined) {
    throw new OpError('SplitToSequence has lengths, or SequenceAt a position, that are computed; expected constants');
  }
  const sizes = integerList(lengths);
  const isList = lengths.shape.length > 0;
  // Parts of a chunk that does not divide its axis may be empty, as long as nobody takes them.
  if (sizes.length === 0 || sizes.some((size) => size < (isList ? 0 : 1))) {
    throw new OpError(`SplitToSequence has lengths [${sizes}]; expected at least one, none below ${isList ? 0 : 1}`);
  }
  const each = sizes[0]!;
  // One number without an axis is the length of all parts but the last.
  const bounds = isList
    ? sizes.map((size, i) => [sizes.slice(0, i).reduce((a, b) => a + b, 0), size] as const)
    : Array.from({ length: Math.ceil(extent / each) }, (_, i) => [i * each, each] as const);
  const found = bounds.at(at);
  if (found === undefined) throw new OpError(`SequenceAt takes part ${at} of ${bounds.length}; expected one of them`);
  const [start, length] = found;
  if (length === 0)
    throw new OpError(`SequenceAt takes part ${at} of lengths [${sizes}]; expected one that is not empty`);
  const attributes = {
    starts: { type: 'ints', value: [start] },
    ends: { type: 'ints', value: [Math.min(start + length, extent)] },
    axes: { type: 'ints', value: [axis] },
  } as const;
  return [{ ...node, opType: 'Slice', inputs: node.inputs.slice(0, 1), attributes }];
}
