import type { Op } from '../../graph/graph.ts';
import type { GraphView, Rule } from './view.ts';
import { multiple, near, scalarOf } from './view.ts';

/**
 * x * (1 + erf(x / sqrt 2)) / 2, with its factors in any order.
 * Source: how torch.onnx exports torch.nn.GELU up to operator set 19.
 */
const gelu: Rule = (view, op) => {
  for (const { x, other, factor } of products(view, op)) {
    // The half may also be with (1 + erf).
    const { of, factor: inner } = multiple(view, other);
    const sum = view.inner(of, 'add');
    const erf = sum && view.inner(sum.inputs[0]!, 'erf');
    if (sum === undefined || erf === undefined || scalarOf(sum) !== 1 || !near(factor * inner, 0.5)) continue;
    const argument = multiple(view, erf.inputs[0]!);
    if (argument.of === x && near(argument.factor, Math.SQRT1_2)) {
      return { kind: 'gelu', name: view.producer(erf.inputs[0]!, 'div')?.name ?? op.name, inputs: [x], attributes: {} };
    }
  }
  return undefined;
};

/** x * sigmoid(x). */
const silu: Rule = (view, op) => {
  for (const { x, other, factor } of products(view, op)) {
    const sigmoid = view.inner(other, 'sigmoid');
    if (factor === 1 && sigmoid?.inputs[0] === x) {
      return { kind: 'silu', name: sigmoid.name, inputs: [x], attributes: {} };
    }
  }
  return undefined;
};

/** An op as factor * x * other, both ways around; none where it is no product. */
function products(view: GraphView, op: Op): { x: number; other: number; factor: number }[] {
  const { of, factor } = op.kind === 'div' || op.kind === 'mul' ? scaled(view, op) : { of: undefined, factor: 1 };
  if (of === undefined) return [];
  const [a, b] = [of.inputs[0]!, of.inputs[1]!].map((id) => multiple(view, id));
  const whole = factor * a!.factor * b!.factor;
  return [
    { x: a!.of, other: b!.of, factor: whole },
    { x: b!.of, other: a!.of, factor: whole },
  ];
}

/** The product of two values that an op is a multiple of. */
function scaled(view: GraphView, op: Op): { of: Op | undefined; factor: number } {
  if (op.inputs.length === 2) return { of: op.kind === 'mul' ? op : undefined, factor: 1 };
  const [scalar] = [op.attributes['scalar']];
  if (typeof scalar !== 'number' || (op.kind === 'div' && scalarOf(op) === undefined))
    return { of: undefined, factor: 1 };
  const { of, factor } = multiple(view, op.inputs[0]!);
  const inner = view.inner(of, 'mul');
  return {
    of: inner?.inputs.length === 2 ? inner : undefined,
    factor: factor * (op.kind === 'mul' ? scalar : 1 / scalar),
  };
}

export const GELU_RULES: readonly Rule[] = [gelu, silu];
