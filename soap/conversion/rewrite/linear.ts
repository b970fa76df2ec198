import type { Rule } from './view.ts';

/**
 * A product with a weight is a linear layer; with a transposed one it keeps the weight as it is, [out, in].
 * Source: how torch.onnx exports torch.nn.Linear for inputs of more than two axes.
 */
const product: Rule = (view, op) => {
  if (op.kind !== 'matmul') return undefined;
  const [x, factor] = [op.inputs[0]!, op.inputs[1]!];
  const transposition = view.producer(factor, 'transpose');
  const weight = view.tensor(transposition?.inputs[0] ?? factor);
  if (weight.role !== 'parameter' || weight.shape.length !== 2) return undefined;
  const transposed = transposition !== undefined && String(transposition.attributes['perm']) === '1,0';
  return { kind: 'linear', name: op.name, inputs: [x, weight.id], attributes: { transposed } };
};

/** A vector of weights added to a linear layer is its bias, and to a layer norm its beta. */
const bias: Rule = (view, op) => {
  if (op.kind !== 'add' || op.inputs.length !== 2) return undefined;
  for (const [layer, other] of [op.inputs, op.inputs.toReversed()]) {
    const { id, role, shape } = view.tensor(other!);
    const found = view.inner(layer!, 'linear') ?? view.inner(layer!, 'layerNorm');
    if (found?.inputs.length !== 2 || role !== 'parameter') continue;
    const channels = view.tensor(layer!).shape.at(-1);
    if (shape.length !== 1 || shape[0] !== channels) continue;
    const { kind, name, inputs, attributes } = found;
    return { kind, name, inputs: [...inputs, id], attributes };
  }
  return undefined;
};

export const LINEAR_RULES: readonly Rule[] = [product, bias];
