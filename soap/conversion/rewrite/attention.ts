import { numbersAttribute } from '../../ops/op.ts';
import type { Op, Shape } from '../../graph/graph.ts';
import type { Move } from './arrangement.ts';
import { isMove, sameMoves, sourcesOf, stepsOf } from './arrangement.ts';
import type { GraphView, Rule } from './view.ts';
import { multiple, near } from './view.ts';

/** Added to a score, this or less hides it: its exponential is 0. */
const HIDING_SCORE = -1e4;

/** Axes of heads and steps in each other's place: of [N, T, heads, width] as of [N, heads, T, width]. */
const SWAPPED = [0, 2, 1, 3];

/** From [N, T, heads, width] to [N, heads, width, T]. */
const TURNED = [0, 2, 3, 1];

/** A value [N, T, W] by heads: which value, and how many. */
interface Heads {
  readonly of: number;
  readonly heads: number;
  /** What it is multiplied with on the way. */
  readonly factor: number;
}

/**
 * softmax(q k^T / sqrt(W / heads) + mask) v, with q, k and v cut into heads by any reshapes and transpositions, and the mask
 * none or causal. Heads are an axis of their own, or one with the samples. Sources: how both exporters of PyTorch 2.13 write attention
 * written out, torch.nn.functional.scaled_dot_product_attention (onnxscript's aten_scaled_dot_product_attention) and
 * torch.nn.MultiheadAttention, whose steps are first inside, whose result has a row for each step and sample, and whose products are over
 * samples and heads at once where it is asked for its weights (torch.nn.functional.multi_head_attention_forward, `need_weights`).
 */
const attention: Rule = (view, op) => {
  const y = isMove(op) ? sourcesOf(view, op.outputs[0]!, true).at(-1) : undefined;
  const weighted = y?.factor === 1 ? view.inner(y.of, 'matmul') : undefined;
  const softmax = weighted && softmaxOf(view, weighted.inputs[0]!);
  if (softmax === undefined || softmax.attributes['axis'] !== view.tensor(weighted!.inputs[0]!).shape.length - 1)
    return undefined;
  const { scores, causal } = unmasked(view, softmax.inputs[0]!);
  const { of, factor } = multiple(view, scores);
  const product = view.inner(of, 'matmul');
  const q = product && byHeads(view, product.inputs[0]!, SWAPPED);
  const k = product && byHeads(view, product.inputs[1]!, TURNED);
  const v = byHeads(view, weighted!.inputs[1]!, SWAPPED);
  if (product === undefined || q === undefined || k === undefined || v?.factor !== 1) return undefined;
  const [samples, steps, width] = view.tensor(q.of).shape;
  const output = [samples!, steps!, view.tensor(v.of).shape[2]!];
  const rest = joinedAs(
    { from: view.tensor(y!.of).shape, output, heads: v.heads },
    y!.moves,
    view.tensor(op.outputs[0]!).shape,
  );
  const fits = q.heads === k.heads && q.heads === v.heads && rest !== undefined;
  if (!fits || !near(factor * q.factor * k.factor, 1 / Math.sqrt(width! / q.heads))) return undefined;
  return {
    kind: 'attention',
    name: product.name,
    inputs: [q.of, k.of, v.of],
    attributes: { heads: q.heads, causal },
    after: stepsOf(op.name, output, rest),
  };
};

/** A value of [N, T, W] as it is cut into heads and put in the order `perm` of [N, T, heads, W / heads]. */
function byHeads(view: GraphView, id: number, perm: readonly number[]): Heads | undefined {
  const { shape } = view.tensor(id);
  for (const { of, factor, moves } of sourcesOf(view, id)) {
    const [samples, steps, width, ...more] = view.tensor(of).shape;
    const heads = shape.length === 4 ? shape[1]! : shape[0]! / samples!;
    if (width === undefined || more.length > 0 || !Number.isInteger(heads) || width % heads !== 0) continue;
    // Heads that are samples are one head each as well, before it is found what they were cut from.
    if (shape.length === 3 && heads === 1) continue;
    const cut = [samples!, steps!, heads, width / heads];
    if (sameMoves([samples!, steps!, width], moves, [{ shape: cut }, { perm }, { shape }]))
      return { of, heads, factor };
  }
  return undefined;
}

/** A result `output`, [N, T, W], as it comes by heads: `from`, whose first axes are samples and heads, or one of both. */
interface Joined {
  readonly from: Shape;
  readonly output: Shape;
  readonly heads: number;
}

/** What is left to do to a result where moves bring it by heads into a shape; undefined for other moves. */
function joinedAs({ from, output, heads }: Joined, moves: readonly Move[], shape: Shape): readonly Move[] | undefined {
  const [samples, steps, width] = output;
  // Another move follows that puts the heads together.
  if (shape.at(-1) !== width) return undefined;
  const byHead = [samples!, heads, steps!, width! / heads];
  const joins: readonly Move[] = [{ shape: byHead }, { perm: SWAPPED }, { shape: output }];
  const rests: readonly (readonly Move[])[] = [[], [{ shape }], [{ perm: [1, 0, 2] }, { shape }]];
  return rests.find((rest) => sameMoves(from, moves, [...joins, ...rest]));
}

/** The softmax that a value is, itself or with 0 for what is not a number: a row that shows something has none of these. */
function softmaxOf(view: GraphView, id: number): Op | undefined {
  const choice = view.inner(id, 'where');
  if (choice === undefined) return view.inner(id, 'softmax');
  const [condition, fill, kept] = choice.inputs;
  const differs = view.inner(condition!, 'equal');
  const equals = differs?.attributes['scalar'] === 0 ? view.inner(differs.inputs[0]!, 'equal') : undefined;
  const zero = view.producer(fill!, 'constant');
  const isZero = zero !== undefined && numbersAttribute(zero.attributes, 'values').every((value) => value === 0);
  const itself = equals?.inputs.length === 2 && equals.inputs.every((input) => input === kept);
  return isZero && itself ? view.producer(kept!, 'softmax') : undefined;
}

/** The scores under a causal mask, added or chosen; the value itself where there is none. */
function unmasked(view: GraphView, id: number): { scores: number; causal: boolean } {
  const sum = view.inner(id, 'add');
  for (const [scores, other] of sum?.inputs.length === 2 ? [sum.inputs, sum.inputs.toReversed()] : []) {
    const mask = view.producer(other!, 'constant');
    const hides = (value: number): boolean => value <= HIDING_SCORE;
    if (mask !== undefined && isCausal(mask, hides, (value) => value === 0)) return { scores: scores!, causal: true };
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

export const ATTENTION_RULES: readonly Rule[] = [attention];
