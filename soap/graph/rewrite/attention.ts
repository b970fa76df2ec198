import { numbersAttribute } from '../../ops/op.ts';
import type { Op } from '../graph.ts';
import type { GraphView, Rule } from './view.ts';
import { multiple, near } from './view.ts';

/** Added to a score, this or less hides it: its exponential is 0. */
const HIDING_SCORE = -1e4;

/** A value [N, T, W] by heads: which value, and how many. */
interface Heads {
  readonly of: number;
  readonly heads: number;
  /** What it is multiplied with on the way. */
  readonly factor: number;
}

/**
 * softmax(q k^T / sqrt(W / heads) + mask) v, with q, k and v cut into heads by reshape and transpose, and the mask none or
 * causal. Sources: how torch.onnx exports attention written out, and torch.nn.functional.scaled_dot_product_attention.
 */
const attention: Rule = (view, op) => {
  const transposition = op.kind === 'reshape' ? view.inner(op.inputs[0]!, 'transpose') : undefined;
  if (transposition === undefined || !hasPerm(transposition, '0,2,1,3')) return undefined;
  const weighted = view.inner(transposition.inputs[0]!, 'matmul');
  const softmax = weighted && view.inner(weighted.inputs[0]!, 'softmax');
  const v = weighted && byHeads(view, weighted.inputs[1]!, '0,2,1,3');
  if (softmax?.attributes['axis'] !== 3 || v?.factor !== 1) return undefined;
  const { scores, causal } = unmasked(view, softmax.inputs[0]!);
  const { of, factor } = multiple(view, scores);
  const product = view.inner(of, 'matmul');
  const q = product && byHeads(view, product.inputs[0]!, '0,2,1,3');
  const k = product && byHeads(view, product.inputs[1]!, '0,2,3,1');
  if (product === undefined || q === undefined || k === undefined) return undefined;
  const [samples, steps, width] = view.tensor(q.of).shape;
  const output = [samples, steps, view.tensor(v.of).shape[2]];
  const fits =
    String(output) === String(view.tensor(op.outputs[0]!).shape) && q.heads === k.heads && q.heads === v.heads;
  if (!fits || !near(factor * q.factor * k.factor, 1 / Math.sqrt(width! / q.heads))) return undefined;
  return {
    kind: 'attention',
    name: product.name,
    inputs: [q.of, k.of, v.of],
    attributes: { heads: q.heads, causal },
  };
};

/** A value of [N, T, W] as it is cut into heads and transposed from [N, T, heads, W / heads]. */
function byHeads(view: GraphView, id: number, perm: string): Heads | undefined {
  const outer = multiple(view, id);
  const transposition = view.producer(outer.of, 'transpose');
  if (transposition === undefined) return undefined;
  if (!hasPerm(transposition, perm)) {
    // k^T may take two steps: heads first, then the transposition of the last axes.
    const first = hasPerm(transposition, '0,1,3,2') && perm === '0,2,3,1';
    const inner = first ? byHeads(view, transposition.inputs[0]!, '0,2,1,3') : undefined;
    return inner && { ...inner, factor: inner.factor * outer.factor };
  }
  const { of, factor } = multiple(view, transposition.inputs[0]!);
  const cut = view.producer(of, 'reshape');
  if (cut === undefined) return undefined;
  const [from, to] = [view.tensor(cut.inputs[0]!).shape, view.tensor(of).shape];
  if (from.length !== 3 || to.length !== 4 || from[0] !== to[0] || from[1] !== to[1]) return undefined;
  return { of: cut.inputs[0]!, heads: to[2]!, factor: factor * outer.factor };
}

/** The scores under a causal mask, added or chosen; the value itself where there is none. */
function unmasked(view: GraphView, id: number): { scores: number; causal: boolean } {
  const sum = view.inner(id, 'add');
  if (sum?.inputs.length === 2) {
    const [scores, mask] = [sum.inputs[0]!, view.producer(sum.inputs[1]!, 'constant')];
    const hides = (value: number): boolean => value <= HIDING_SCORE;
    if (mask !== undefined && isCausal(mask, hides, (value) => value === 0)) return { scores, causal: true };
  }
  const choice = view.inner(id, 'where');
  if (choice !== undefined) {
    const [condition, fill] = [choice.inputs[0]!, choice.inputs[2]!].map((input) => view.producer(input, 'constant'));
    const values = fill && numbersAttribute(fill.attributes, 'values');
    const fills = values?.length === 1 && values[0]! <= HIDING_SCORE;
    const shows = (value: number): boolean => value !== 0;
    if (condition !== undefined && fills && isCausal(condition, (value) => value === 0, shows)) {
      return { scores: choice.inputs[1]!, causal: true };
    }
  }
  return { scores: id, causal: false };
}

/** Whether a constant [..., T, S] hides the steps after each, and shows the others, alike for all samples and heads. */
function isCausal(mask: Op, hides: (value: number) => boolean, shows: (value: number) => boolean): boolean {
  const [shape, values] = ['shape', 'values'].map((name) => numbersAttribute(mask.attributes, name));
  const [rows, columns] = shape!.slice(-2);
  if (rows === undefined || columns === undefined || values!.length !== rows * columns) return false;
  return values!.every((value, i) => (i % columns > Math.floor(i / columns) ? hides(value) : shows(value)));
}

function hasPerm({ attributes }: Op, perm: string): boolean {
  return String(attributes['perm']) === perm;
}

export const ATTENTION_RULES: readonly Rule[] = [attention];
