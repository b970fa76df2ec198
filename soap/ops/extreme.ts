import { binaryOp } from './binary.ts';
import { HIGHEST } from './clip.ts';
import type { OpDefinition } from './op.ts';
import { LOWEST } from './reductions.ts';

/** What tells the larger from the smaller of two. */
export interface Extreme {
  readonly kind: string;
  readonly onnxType: 'Max' | 'Min';
}

/**
 * The larger, or the smaller, of two operands with broadcasting. Its gradient goes to the one that it is, half to each where they
 * are equal: so does that of torch.maximum. With a constant number it is a clip, whose gradient there is whole: torch.clamp, which
 * PyTorch's exporter by torch.export writes so, cannot be told from torch.maximum, and is the likelier one.
 * Source: onnxscript, function_libs/torch_lib/ops/core.py, aten_clamp.
 */
export function extremeOp({ kind, onnxType }: Extreme): OpDefinition {
  const binary = binaryOp({
    kind,
    onnxType,
    backwardFlops: 4,
    forward: (math, a, b) => (onnxType === 'Max' ? math.max(a, b) : math.min(a, b)),
    gradient(math, operand, a, b, dy) {
      const [own, other] = operand === 0 ? [a(), b()] : [b(), a()];
      const wins = onnxType === 'Max' ? math.greater(own, other) : math.greater(other, own);
      return math.where(wins, dy, math.where(math.equal(own, other), math.mul(dy, 0.5), 0));
    },
  });
  return {
    ...binary,
    fromOnnx(node, context) {
      const { attributes, inputs } = binary.fromOnnx(node, context);
      const { scalar } = attributes;
      if (typeof scalar !== 'number') return { attributes, inputs };
      const bounds = onnxType === 'Max' ? { min: scalar, max: HIGHEST } : { min: LOWEST, max: scalar };
      return { kind: 'clip', attributes: bounds, inputs };
    },
  };
}
