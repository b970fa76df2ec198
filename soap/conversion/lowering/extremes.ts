import type { OnnxNode } from '../../onnx/model.ts';
import { nodeWriter } from './writer.ts';

/** A Max or Min of any number of inputs as those of two. @returns undefined for one of two */
export function extremesOfTwo(node: OnnxNode): readonly OnnxNode[] | undefined {
  const [first, ...others] = node.inputs;
  if (first === undefined || others.length === 1) return undefined;
  const writer = nodeWriter(node);
  if (others.length === 0) writer.add('Identity', [first]);
  others.reduce((value, input) => writer.add(node.opType, [value, input]), first);
  return writer.finish();
}
