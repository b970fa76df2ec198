import type { OnnxAttribute, OnnxNode } from '../../onnx/model.ts';
import { nodeAxis } from '../../ops/node-axes.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { nodeWriter } from './writer.ts';

const LAST_AXIS: OnnxAttribute = { type: 'int', value: -1 };

/**
 * A LayerNormalization over several axes, as of torch.nn.LayerNorm([C, H, W]), as one over these axes joined.
 * Source: https://onnx.ai/onnx/operators/onnx__LayerNormalization.html
 * @throws {OpError} over the samples, and where scale and bias are not of the shape of the axes
 */
export function layerNormOverLastAxis(node: OnnxNode, context: ImportContext): readonly OnnxNode[] | undefined {
  const [axis, shape] = [node.attributes['axis'], context.shape(0)];
  const given = axis?.type === 'int' ? axis.value : -1;
  const first = nodeAxis(node, given, shape.length);
  // The op says what is wrong with further results.
  if (first === shape.length - 1 || node.outputs.slice(1).some((name) => name !== '')) return undefined;
  if (first < 1) {
    throw new OpError(`LayerNormalization has axis ${given} for shape [${shape}]; expected one behind the samples`);
  }
  const [x, ...parameters] = node.inputs;
  const normalized = shape.slice(first);
  for (const [i, name] of parameters.entries()) {
    if (name !== '' && String(context.shape(i + 1)) !== String(normalized)) {
      throw new OpError(
        `LayerNormalization over axes of [${normalized}] has a scale or bias of [${context.shape(i + 1)}]; expected [${normalized}]`,
      );
    }
  }
  const writer = nodeWriter(node);
  const kept = Array.from({ length: first }, () => 0);
  const joined = writer.add('Reshape', [x!, writer.integers([...kept, -1])]);
  const flat = parameters.map((name) => (name === '' ? '' : writer.add('Reshape', [name, writer.integers([-1])])));
  const result = writer.add('LayerNormalization', [joined, ...flat], { ...node.attributes, axis: LAST_AXIS });
  writer.add('Reshape', [result, writer.integers([...kept, ...normalized])]);
  return writer.finish();
}
