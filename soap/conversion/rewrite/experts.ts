import type { GraphView, Rule } from './view.ts';

/** A product with weights of each expert, [E, out, in], and a bias [E, out]: what is multiplied, and by which parameters. */
interface Layer {
  readonly of: number;
  readonly weight: number;
  readonly bias: number;
}

/** A dense mixture of experts, as the op `experts` is written to files: [N, E, T, ...], summed over E. */
const mixture: Rule = (view, op) => {
  const { axes, keepDims } = op.attributes;
  if (op.kind !== 'reduceSum' || String(axes) !== '1' || keepDims === true) return undefined;
  const product = view.inner(op.inputs[0]!, 'mul');
  const down = product && layerOf(view, product.inputs[0]!);
  const active = down && view.inner(down.of, 'gelu');
  const up = active && layerOf(view, active.inputs[0]!);
  const x = up && view.producer(up.of, 'reshape')?.inputs[0];
  const turned = product && view.inner(product.inputs[1]!, 'reshape')?.inputs[0];
  const transposition = turned === undefined ? undefined : view.inner(turned, 'transpose');
  if (up === undefined || x === undefined || transposition === undefined) return undefined;
  const gates = transposition.inputs[0]!;
  const output = view.tensor(op.outputs[0]!).shape;
  const shapes = [x, gates, op.inputs[0]!].map((id) => view.tensor(id).shape);
  const [samples, steps] = output;
  const count = view.tensor(up.weight).shape[0];
  const expected = [output, [samples, steps, count], [samples, count, ...output.slice(1)]];
  if (String(transposition.attributes['perm']) !== '0,2,1' || String(shapes.map(String)) !== String(expected)) {
    return undefined;
  }
  const inputs = [x, gates, up.weight, up.bias, down!.weight, down!.bias];
  return { kind: 'experts', name: op.name, inputs, attributes: {} };
};

function layerOf(view: GraphView, id: number): Layer | undefined {
  const sum = view.inner(id, 'add');
  const matmul = sum && view.inner(sum.inputs[0]!, 'matmul');
  const transposition = matmul && view.producer(matmul.inputs[1]!, 'transpose');
  const weight = transposition?.inputs[0];
  const bias = sum?.inputs[1] === undefined ? undefined : view.producer(sum.inputs[1], 'reshape')?.inputs[0];
  if (matmul === undefined || weight === undefined || bias === undefined) return undefined;
  const [count, out] = view.tensor(weight).shape;
  const isLayer =
    String(transposition!.attributes['perm']) === '0,2,1' &&
    String(view.tensor(bias).shape) === String([count, out]) &&
    String(view.tensor(sum!.inputs[1]!).shape) === String([count, 1, out]);
  const trained = [weight, bias].every((each) => view.tensor(each).role === 'parameter');
  return isLayer && trained ? { of: matmul.inputs[0]!, weight, bias } : undefined;
}

export const EXPERTS_RULES: readonly Rule[] = [mixture];
