import { numberAttribute, numbersAttribute } from '../../ops/op.ts';
import type { Op } from '../../graph/graph.ts';
import type { GraphView, Rule } from './view.ts';

/**
 * Instance normalization of x as [N, groups, ...] without scale and bias, back in the shape of x, times gamma plus beta by
 * channel. Source: how torch.onnx exports torch.nn.GroupNorm.
 */
const groupNorm: Rule = (view, op) => {
  if (op.kind !== 'add' || op.inputs.length !== 2) return undefined;
  for (const [product, beta] of [op.inputs, op.inputs.toReversed()]) {
    const mul = view.inner(product!, 'mul');
    if (mul?.inputs.length !== 2) continue;
    for (const [normalized, gamma] of [mul.inputs, mul.inputs.toReversed()]) {
      const found = normalization(view, normalized!);
      const [scale, bias] = [gamma!, beta!].map((id) => byChannel(view, id, view.tensor(normalized!).shape));
      if (found === undefined || scale === undefined || bias === undefined) continue;
      const { x, instanceNorm, groups } = found;
      const epsilon = numberAttribute(instanceNorm.attributes, 'epsilon');
      return { kind: 'groupNorm', name: instanceNorm.name, inputs: [x, scale, bias], attributes: { epsilon, groups } };
    }
  }
  return undefined;
};

/** What is normalized by groups. */
function normalization(view: GraphView, id: number): { x: number; instanceNorm: Op; groups: number } | undefined {
  const back = view.inner(id, 'reshape');
  const instanceNorm = back && view.inner(back.inputs[0]!, 'instanceNorm');
  const grouped = instanceNorm && view.inner(instanceNorm.inputs[0]!, 'reshape');
  if (instanceNorm === undefined || grouped === undefined) return undefined;
  const x = grouped.inputs[0]!;
  const [from, to] = [view.tensor(x).shape, view.tensor(grouped.outputs[0]!).shape];
  const [scale, bias] = [1, 2].map((input) => view.producer(instanceNorm.inputs[input]!, 'constant'));
  const groups = to[1]!;
  const plain = isAll(scale, 1) && isAll(bias, 0);
  const same = String(from) === String(view.tensor(id).shape) && from[0] === to[0] && (from[1] ?? 1) % groups === 0;
  return plain && same && from.length > 2 ? { x, instanceNorm, groups } : undefined;
}

/** A parameter [C], or [C, 1, ...], that meets the channels of a tensor [N, C, ...]. */
function byChannel(view: GraphView, id: number, shape: readonly number[]): number | undefined {
  const column = [shape[1]!, ...shape.slice(2).map(() => 1)];
  if (String(view.tensor(id).shape) !== String(column)) return undefined;
  const source = view.producer(id, 'reshape')?.inputs[0] ?? id;
  const { role, shape: own } = view.tensor(source);
  return role === 'parameter' && own[0] === column[0] ? source : undefined;
}

function isAll(constant: Op | undefined, value: number): boolean {
  return constant !== undefined && numbersAttribute(constant.attributes, 'values').every((each) => each === value);
}

export const GROUP_NORM_RULES: readonly Rule[] = [groupNorm];
