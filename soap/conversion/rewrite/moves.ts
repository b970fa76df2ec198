import type { Op } from '../../graph/graph.ts';
import { numberAttribute, numbersAttribute } from '../../ops/op.ts';
import type { Move } from './arrangement.ts';
import { isMove, movesOfOne, sameMoves, sourcesOf, stepsOf } from './arrangement.ts';
import type { GraphView, Rule } from './view.ts';
import { SAME } from './view.ts';

/** [N, T, W] as [T, N, W], and back. */
const STEPS_FIRST: Move = { perm: [1, 0, 2] };

/** Moves that bring a value back to where it was. */
const undone: Rule = (view, op) => {
  if (!isMove(op)) return undefined;
  const shape = view.tensor(op.outputs[0]!).shape;
  const source = sourcesOf(view, op.outputs[0]!).findLast(
    ({ of, factor, moves }) =>
      factor === 1 &&
      moves.length > 0 &&
      view.tensor(of).shape.length === shape.length &&
      sameMoves(view.tensor(of).shape, moves, []),
  );
  return source && { kind: SAME, name: op.name, inputs: [source.of], attributes: {} };
};

/**
 * A linear layer of [T, N, W], or of a row for each step and sample, is one of [N, T, W] whose result is brought into that order: so the
 * samples stay an axis to split. The same of a slice along the width.
 * Source: torch.nn.MultiheadAttention with `batch_first`, which works on steps first inside.
 */
const samplesFirst: Rule = (view, op) => {
  if (!isAlongWidth(op)) return undefined;
  const [x, ...weights] = op.inputs;
  const to = view.tensor(x!).shape;
  for (const { of, factor, moves } of sourcesOf(view, x!)) {
    const from = view.tensor(of).shape;
    if (factor !== 1 || from.length !== 3 || from[2] !== to.at(-1) || moves.length === 0) continue;
    const rests: readonly (readonly Move[])[] = [
      [STEPS_FIRST, { shape: to }],
      ...(to.length === 2 ? [[{ shape: to }]] : []),
    ];
    const rest = rests.find((each) => sameMoves(from, moves, each) && stepsOf('', from, each).length > 0);
    // A step of its own, or a row for each sample, is a linear layer of the samples already.
    if (rest === undefined || from[1] === 1) continue;
    const output = view.tensor(op.outputs[0]!).shape;
    const after = stepsOf(
      op.name,
      [...from.slice(0, 2), output.at(-1)!],
      rest.map((each) => ('perm' in each ? each : { shape: output })),
    );
    return { kind: op.kind, name: op.name, inputs: [of, ...weights], attributes: op.attributes, after };
  }
  return undefined;
};

/** Whether an op treats all rows of [N, T, W] alike, in whatever order they are; a slice where they have three axes. */
function isAlongWidth({ kind, attributes }: Op): boolean {
  return kind === 'linear' || (kind === 'slice' && String(attributes['axes']) === '2');
}

/** Ops that compute each row of [N, T, W] alike, of rows in the same place, and of what is the same for all. */
const ROWWISE: ReadonlySet<string> = new Set(
  'add sub mul div sum matmul layerNorm dropout relu leakyRelu elu gelu silu sigmoid tanh'.split(' '),
);

/**
 * What ops compute row by row of [T, N, W] is computed of [N, T, W], and brought into that order: so the samples stay the first axis all the way
 * through a model whose layers have steps first, up to where that is undone.
 * Source: torch.nn.Transformer and its layers without `batch_first`; their projections of one part of `in_proj_weight` are matrix products.
 */
const stepsLater: Rule = (view, op) => {
  const shape = view.tensor(op.outputs[0]!).shape;
  if (!ROWWISE.has(op.kind) || shape.length !== 3) return undefined;
  // Of one step, or one sample, there is no order.
  if (shape[0] === 1 || shape[1] === 1) return undefined;
  const inputs = op.inputs.map((id, i) => (isForAllRows(view, op, i) ? id : samplesFirstOf(view, id)));
  const known = inputs.filter((id) => id !== undefined);
  if (known.length < inputs.length || known.every((id, i) => id === op.inputs[i])) return undefined;
  return {
    kind: op.kind,
    name: op.name,
    inputs: known,
    attributes: op.attributes,
    after: [{ kind: 'transpose', name: op.name, attributes: { ...STEPS_FIRST } }],
  };
};

/** Whether an input is the same for all rows: of one axis at most, or the second factor of a product. */
function isForAllRows(view: GraphView, { kind, inputs }: Op, input: number): boolean {
  return view.tensor(inputs[input]!).shape.length <= (kind === 'matmul' && input === 1 ? 2 : 1);
}

/** What a value [T, N, W] is with its samples first, where something has it so; undefined, too, where there are as many steps as samples. */
function samplesFirstOf(view: GraphView, id: number): number | undefined {
  const samples = view.tensor(view.graph.inputs[0]!).shape[0];
  const source = sourcesOf(view, id).find(({ of, factor, moves }) => {
    const from = view.tensor(of).shape;
    const isSamplesFirst = from.length === 3 && from[0] === samples && from[1] !== samples;
    return factor === 1 && isSamplesFirst && moves.length > 0 && sameMoves(from, moves, [STEPS_FIRST]);
  });
  return source?.of;
}

/**
 * One of several values [N, T, W] side by side in [N, T, W * count], moved so that they are an axis of their own, is a slice that is moved as
 * they were: so the samples stay an axis to split, and each value has heads to recognize.
 * Sources: the projections to q, k and v of torch.nn.MultiheadAttention, and of vision transformers,
 * `qkv(x).reshape(N, T, 3, heads, width).permute(2, 0, 3, 1, 4).unbind(0)` (timm, Attention).
 */
const chosen: Rule = (view, op) => {
  const choice = choiceOf(op);
  if (choice === undefined) return undefined;
  const [stacked, to] = [op.inputs[0]!, view.tensor(op.outputs[0]!).shape];
  for (const { of, factor, moves } of sourcesOf(view, stacked)) {
    const from = view.tensor(of).shape;
    if (factor !== 1 || from.length !== 3 || moves.length === 0) continue;
    const rest = movesOfOne(from, moves, choice.axis);
    if (rest === undefined) continue;
    const width = from[2]! / view.tensor(stacked).shape[choice.axis]!;
    const start = choice.index * width;
    const attributes = { starts: [start], ends: [start + width], axes: [2], steps: [1] };
    const after = stepsOf(op.name, [from[0]!, from[1]!, width], [...rest, { shape: to }]);
    return { kind: 'slice', name: op.name, inputs: [of], attributes, after };
  }
  return undefined;
};

/** A cast to the type that the value has. */
const uncast: Rule = (view, op) => {
  if (op.kind !== 'cast' || op.attributes['to'] !== view.tensor(op.inputs[0]!).dtype) return undefined;
  return { kind: SAME, name: op.name, inputs: op.inputs, attributes: {} };
};

/** The only index that an op takes of an axis: a gather, after which the axis is gone, or a slice. */
function choiceOf({ kind, attributes }: Op): { readonly axis: number; readonly index: number } | undefined {
  if (kind === 'gather' && numbersAttribute(attributes, 'indicesShape').length === 0) {
    return { axis: numberAttribute(attributes, 'axis'), index: numbersAttribute(attributes, 'indices')[0]! };
  }
  if (kind !== 'slice' || attributes['axes'] === undefined) return undefined;
  const [axes, starts, ends] = ['axes', 'starts', 'ends'].map((name) => numbersAttribute(attributes, name));
  const isOne = axes!.length === 1 && ends![0] === starts![0]! + 1;
  return isOne ? { axis: axes![0]!, index: starts![0]! } : undefined;
}

export const MOVE_RULES: readonly Rule[] = [undone, samplesFirst, stepsLater, chosen, uncast];
