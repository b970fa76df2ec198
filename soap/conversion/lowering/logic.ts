import type { OnnxNode } from '../../onnx/model.ts';
import type { NodeWriter } from './writer.ts';
import { nodeWriter } from './writer.ts';

// Booleans are 0 and 1 here, int64.

export function notAsEqual(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  opposite(writer, node.inputs[0]!);
  return writer.finish();
}

/** a above what b is not: 1 above 0 is the only case. */
export function andAsGreater(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  writer.add('Greater', [node.inputs[0]!, opposite(writer, node.inputs[1]!)]);
  return writer.finish();
}

/** Not that what a is not is above b. */
export function orAsGreater(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  const neither = writer.add('Greater', [opposite(writer, node.inputs[0]!), node.inputs[1]!]);
  opposite(writer, neither);
  return writer.finish();
}

export function xorAsEqual(node: OnnxNode): readonly OnnxNode[] {
  const writer = nodeWriter(node);
  opposite(writer, writer.add('Equal', node.inputs));
  return writer.finish();
}

function opposite(writer: NodeWriter, condition: string): string {
  return writer.add('Equal', [condition, writer.add('Squeeze', [writer.integers([0])])]);
}
