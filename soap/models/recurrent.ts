import type { GraphBuilder } from '../training/builder.ts';
import type { ParameterSpec } from './parameters.ts';
import { whole } from './parameters.ts';

/** Steps that recurrent layers are unrolled. Source: the FlexFlow paper, section 8.1: 40 for all of its models. */
const PAPER_STEPS = 40;
/** Steps of an op: enough that NMT has some tens of ops in place of some hundreds. */
const DEFAULT_GROUP = 8;

/** Parameters of every model that is unrolled. */
export const unrolling: {
  readonly steps: ParameterSpec<number>;
  readonly group: ParameterSpec<number>;
} = {
  steps: whole(PAPER_STEPS, 'steps that the recurrent layers are unrolled', { most: 4096 }),
  group: whole(DEFAULT_GROUP, 'steps that one op computes; 1 for an op of each step', { most: 4096 }),
};

/** Consecutive steps that one op computes. */
export interface StepGroup {
  readonly start: number;
  readonly steps: number;
}

/** All steps in groups of so many; the last has what is left. */
export function stepGroups(steps: number, group: number): StepGroup[] {
  const count = Math.ceil(steps / group);
  return Array.from({ length: count }, (_, i) => ({ start: i * group, steps: Math.min(group, steps - i * group) }));
}

/** What an LSTM layer hands on from step to step: tensor ids of h and c, [N, H]. */
export interface LstmState {
  readonly h: number;
  readonly c: number;
}

/** A layer whose groups share one weight. */
export interface SharedLayer {
  /** Adds the op of a group. Returns the output tensor's id, [N, steps, width]. */
  at(group: StepGroup, x: number): number;
}

/** An LSTM layer, unrolled group by group. */
export interface LstmLayer extends SharedLayer {
  /** The state after the last group that was added. */
  state(): LstmState;
}

/**
 * An unrolled LSTM layer with the weights of torch.nn.LSTM. Its groups are added in order, each reading the steps of one
 * group [N, steps, inputWidth] and the state that the group before left.
 * @param initial the state before the first step; zeros where left out
 */
function lstmLayer(
  builder: GraphBuilder,
  name: string,
  inputWidth: number,
  hidden: number,
  initial?: LstmState,
): LstmLayer {
  const weights = [
    builder.parameter(`${name}.inputWeight`, [4, hidden, inputWidth]),
    builder.parameter(`${name}.recurrentWeight`, [4, hidden, hidden]),
    builder.parameter(`${name}.bias`, [2, 4, hidden]),
  ];
  let last = initial;
  return {
    at({ start, steps }, x) {
      const state = last === undefined ? [] : [last.h, last.c];
      const attributes = { start: 0, steps, initial: last === undefined };
      const y = builder.op('lstm', `${name}.${start}`, [x, ...state, ...weights], attributes);
      const [, h, c] = builder.outputsOf(y);
      last = { h: h!, c: c! };
      return y;
    },
    state() {
      if (last === undefined) throw new Error(`internal: layer '${name}' has no steps`);
      return last;
    },
  };
}

/** An embedding whose groups read their steps of tokens [N, all steps] -> [N, steps, width]. */
export function embeddingLayer(builder: GraphBuilder, name: string, vocabulary: number, width: number): SharedLayer {
  const table = builder.parameter(`${name}.weight`, [vocabulary, width]);
  return {
    at: ({ start, steps }, tokens) => builder.op('embedding', `${name}.${start}`, [tokens, table], { start, steps }),
  };
}

/** A linear layer of each step: [N, steps, width] -> [N, steps, channels]. */
export function stepwiseLinear(
  builder: GraphBuilder,
  name: string,
  width: number,
  channels: number,
  { bias = true }: { readonly bias?: boolean } = {},
): SharedLayer {
  const weights = [builder.parameter(`${name}.weight`, [channels, width])];
  if (bias) weights.push(builder.parameter(`${name}.bias`, [channels]));
  return { at: ({ start }, x) => builder.op('linear', `${name}.${start}`, [x, ...weights], { transposed: true }) };
}

/** A stack of LSTM layers, each reading what the one below gives; the first reads vectors of `inputWidth`. */
export function lstmStack(
  builder: GraphBuilder,
  name: string,
  sizes: { readonly layers: number; readonly inputWidth: number; readonly hidden: number },
  initial: readonly LstmState[] = [],
): readonly LstmLayer[] {
  const { layers, inputWidth, hidden } = sizes;
  return Array.from({ length: layers }, (_, i) =>
    lstmLayer(builder, `${name}${i + 1}`, i === 0 ? inputWidth : hidden, hidden, initial[i]),
  );
}

/** Adds one group of steps to every layer of a stack. Returns the top layer's output. */
export function stackAt(stack: readonly SharedLayer[], group: StepGroup, x: number): number {
  return stack.reduce((below, layer) => layer.at(group, below), x);
}
