import type { GraphView, Rule } from './view.ts';
import { scalarOf } from './view.ts';

/**
 * (x - mean) / sqrt(mean of (x - mean)^2 + epsilon) * gamma over the last axis; beta is added by the rule of biases.
 * Source: how torch.onnx exports torch.nn.LayerNorm up to operator set 16.
 */
const layerNorm: Rule = (view, op) => {
  if (op.kind !== 'mul' || op.inputs.length !== 2) return undefined;
  for (const [normalized, other] of [op.inputs, op.inputs.toReversed()]) {
    const gamma = view.tensor(other!);
    const found = normalization(view, normalized!);
    if (found === undefined || gamma.role !== 'parameter' || gamma.shape.length !== 1) continue;
    const { x, epsilon } = found;
    if (gamma.shape[0] !== view.tensor(x).shape.at(-1)) continue;
    return { kind: 'layerNorm', name: op.name, inputs: [x, gamma.id], attributes: { epsilon } };
  }
  return undefined;
};

function normalization(view: GraphView, id: number): { x: number; epsilon: number } | undefined {
  const quotient = view.inner(id, 'div');
  if (quotient?.inputs.length !== 2) return undefined;
  const centred = quotient.inputs[0]!;
  const x = centredOf(view, centred);
  const root = view.inner(quotient.inputs[1]!, 'sqrt');
  const sum = root && view.inner(root.inputs[0]!, 'add');
  const epsilon = sum && scalarOf(sum);
  const variance = sum && meanOf(view, sum.inputs[0]!);
  if (x === undefined || epsilon === undefined || variance === undefined) return undefined;
  const square = view.inner(variance, 'pow');
  const product = view.inner(variance, 'mul');
  const squares =
    (square?.attributes['exponent'] === 2 && square.inputs[0] === centred) ||
    (product?.inputs.length === 2 && product.inputs.every((input) => input === centred));
  return squares ? { x, epsilon } : undefined;
}

/** The x of x - mean(x). */
function centredOf(view: GraphView, id: number): number | undefined {
  const difference = view.producer(id, 'sub');
  if (difference?.inputs.length !== 2) return undefined;
  return meanOf(view, difference.inputs[1]!) === difference.inputs[0] ? difference.inputs[0] : undefined;
}

/** What a value is the mean of, over the last axis, which stays. */
function meanOf(view: GraphView, id: number): number | undefined {
  const mean = view.producer(id, 'reduceMean');
  if (mean === undefined || mean.attributes['keepDims'] !== true) return undefined;
  const last = view.tensor(mean.inputs[0]!).shape.length - 1;
  return String(mean.attributes['axes']) === String(last) ? mean.inputs[0] : undefined;
}

export const LAYER_NORM_RULES: readonly Rule[] = [layerNorm];
