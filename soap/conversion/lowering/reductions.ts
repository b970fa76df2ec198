import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import type { NodeWriter } from './writer.ts';
import { isWhole, nodeWriter } from './writer.ts';

/** Reduces a value over the axes of the node that is written as others. */
type Reduce = (opType: string, value: string, keepsAxes?: boolean) => string;

/** Writes a node as others. */
type NodeLowering = (node: OnnxNode, context: ImportContext) => readonly OnnxNode[];

/** A reduction as one that there is, of what is made of the input before, and made something of behind. */
function reduction(write: (writer: NodeWriter, x: string, reduce: Reduce) => void): NodeLowering {
  return (node) => {
    const writer = nodeWriter(node);
    const keep: OnnxAttribute = { type: 'int', value: 1 };
    write(writer, node.inputs[0]!, (opType, value, keepsAxes = false) =>
      writer.add(
        opType,
        [value, ...node.inputs.slice(1)],
        keepsAxes ? { ...node.attributes, keepdims: keep } : node.attributes,
      ),
    );
    return writer.finish();
  };
}

/** A reduction whose way goes by fractions: whole numbers are cast before it, and what it makes of them behind, without its fraction. */
function realReduction(write: (writer: NodeWriter, x: string, reduce: Reduce) => void): NodeLowering {
  const lowering = reduction(write);
  return (node, context) => {
    if (!isWhole(context.dtype(0))) return lowering(node, context);
    const writer = nodeWriter(node);
    const x = writer.cast(node.inputs[0]!, 'float32');
    writer.cast(writer.add(node.opType, [x, ...node.inputs.slice(1)], node.attributes), 'int64');
    return writer.finish();
  };
}

export const reduceMinAsMax: NodeLowering = reduction((writer, x, reduce) => {
  writer.add('Neg', [reduce('ReduceMax', writer.add('Neg', [x]))]);
});

export const reduceL1AsSum: NodeLowering = reduction((writer, x, reduce) => {
  reduce('ReduceSum', writer.add('Abs', [x]));
});

export const reduceSumSquareAsSum: NodeLowering = reduction((writer, x, reduce) => {
  reduce('ReduceSum', writer.add('Mul', [x, x]));
});

export const reduceLogSumAsLog: NodeLowering = realReduction((writer, x, reduce) => {
  writer.add('Log', [reduce('ReduceSum', x)]);
});

/** The root of the sum of squares. Where that is 0 its gradient is 0, as PyTorch's, and not 0 / 0: the root is of 1 there. */
export const reduceL2AsRoot: NodeLowering = realReduction((writer, x, reduce) => {
  const squares = reduce('ReduceSum', writer.add('Mul', [x, x]));
  const [zero, one] = [writer.number(0), writer.number(1)];
  const isZero = writer.add('Equal', [squares, zero]);
  writer.add('Where', [isZero, zero, writer.add('Sqrt', [writer.add('Where', [isZero, one, squares])])]);
});

/** Relative to the largest element, so that no exponential is too large. */
export const reduceLogSumExpAsSum: NodeLowering = realReduction((writer, x, reduce) => {
  const shifted = writer.add('Sub', [x, reduce('ReduceMax', x, true)]);
  const logs = writer.add('Log', [reduce('ReduceSum', writer.add('Exp', [shifted]))]);
  writer.add('Add', [logs, reduce('ReduceMax', x)]);
});
