import { dtypeCode } from '../../onnx/element-types.ts';
import type { OnnxNode } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';

/**
 * A CastLike as a Cast to the type of its second input: so PyTorch's exporter writes scales, before it optimizes.
 * Source: https://onnx.ai/onnx/operators/onnx__CastLike.html
 */
export function castLikeAsCast(node: OnnxNode, context: ImportContext): OnnxNode[] {
  const to = { type: 'int', value: dtypeCode(context.dtype(1)) } as const;
  return [{ ...node, opType: 'Cast', inputs: node.inputs.slice(0, 1), attributes: { to } }];
}
