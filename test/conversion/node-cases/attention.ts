import type { OnnxNode } from '../../../soap/onnx/model.ts';
import { bool, f32, float, list } from '../../support/kernel-graphs.ts';
import type { NodeCase } from '../../support/beside-runtime.ts';
import type { GraphParts } from '../../support/onnx-graphs.ts';
import { constant, node } from '../../support/onnx-graphs.ts';

/** Samples, heads, steps of the queries and of the keys, width of a head. */
const [N, H, T, S, D] = [2, 6, 3, 5, 4];

type Attributes = Parameters<typeof node>[3];

/** Heads within the last axis. */
const joined = (heads: number, keyHeads: number): GraphParts['inputs'] => ({
  q: [N, T, heads * D],
  k: [N, S, keyHeads * D],
  v: [N, S, keyHeads * 2],
});
const apart = (heads: number, keyHeads: number): GraphParts['inputs'] => ({
  q: [N, heads, T, D],
  k: [N, keyHeads, S, D],
  v: [N, keyHeads, S, 2],
});
const attention = (
  inputs: GraphParts['inputs'],
  attributes: Attributes = {},
  mask: { readonly nodes?: readonly OnnxNode[]; readonly inputs?: GraphParts['inputs'] } = {},
): GraphParts => {
  const read = ['q', 'k', 'v', ...(mask.nodes === undefined ? [] : ['mask'])];
  return {
    inputs: { ...inputs, ...mask.inputs },
    integers: ['seen'],
    opset: 23,
    nodes: [...(mask.nodes ?? []), node('Attention', read, 'y', attributes)],
  };
};
const shown = (...rows: readonly (readonly number[])[]): OnnxNode[] => [constant('mask', bool([T, S], rows.flat()))];
/** A mask of booleans that is computed: of sample 0 the even steps are hidden, of sample 1 the odd ones, for heads alike. */
const computed = {
  inputs: { seen: [N, 1, 1, S] },
  nodes: [node('Cast', ['seen'], 'mask', { to: 9 })],
};
/** The same, with no step of sample 1 seen. */
const NOTHING_SEEN = Array.from({ length: N * S }, (_, i) => (i < S ? i % 2 : 0));
const hidingNumbers = {
  inputs: { seen: [N, 1, 1, S] },
  nodes: [
    node('Cast', ['seen'], 'isSeen', { to: 9 }),
    constant('least', f32([], [-Infinity])),
    constant('some', f32([], [0.5])),
    node('Where', ['isSeen', 'some', 'least'], 'mask'),
  ],
};

const cases: readonly (readonly [does: string, parts: GraphParts, values?: NodeCase['values']])[] = [
  ['of heads', attention(apart(H, H))],
  ['of heads within the last axis', attention(joined(H, H), { q_num_heads: H, kv_num_heads: H })],
  ['of heads that say how many they are', attention(apart(H, H), { q_num_heads: H, kv_num_heads: H })],
  ['of keys that three heads share each', attention(apart(H, 2))],
  ['of keys that all heads share', attention(apart(H, 1), { is_causal: 1 })],
  ['of keys that heads within the last axis share', attention(joined(H, 2), { q_num_heads: H, kv_num_heads: 2 })],
  ['that is causal', attention(apart(H, H), { is_causal: 1 })],
  ['with a scale', attention(joined(H, H), { q_num_heads: H, kv_num_heads: H, scale: float(0.7) })],
  ['with scores within bounds', attention(apart(H, 2), { softcap: float(0.5), is_causal: 1 })],
  [
    'with a mask of booleans',
    attention(apart(H, 2), {}, { nodes: shown([1, 0, 1, 0, 1], [1, 1, 1, 1, 1], [0, 0, 0, 1, 0]) }),
  ],
  [
    'with a mask of booleans that hides a row',
    attention(apart(H, H), {}, { nodes: shown([1, 0, 1, 0, 1], [0, 0, 0, 0, 0], [0, 0, 0, 1, 0]) }),
  ],
  [
    'with a mask of booleans that hides a row where it is causal, too',
    attention(apart(H, H), { is_causal: 1 }, { nodes: shown([1, 0, 1, 0, 1], [0, 0, 1, 0, 0], [0, 1, 1, 1, 0]) }),
  ],
  ['with a mask that is computed', attention(joined(H, 2), { q_num_heads: H, kv_num_heads: 2 }, computed)],
  ['with a computed mask that hides a sample', attention(apart(H, H), {}, computed), { seen: NOTHING_SEEN }],
  ['with a mask of numbers that is computed', attention(apart(H, 2), {}, hidingNumbers)],
  ['with computed numbers that hide a sample', attention(apart(H, 2), {}, hidingNumbers), { seen: NOTHING_SEEN }],
  [
    'with a mask of numbers for each head',
    attention(
      apart(H, H),
      { is_causal: 1 },
      {
        nodes: [
          constant(
            'mask',
            f32(
              [H, 1, S],
              [...Array(H * S).keys()].map((i) => (i % 3 === 2 ? -Infinity : i / 8)),
            ),
          ),
        ],
      },
    ),
  ],
  [
    'with numbers of which some hide a row',
    attention(apart(H, H), {}, { nodes: [constant('mask', f32([T, 1], [0, -Infinity, 0.5]))] }),
  ],
  [
    'with a mask that is fed, and has gradients',
    { ...attention(apart(H, H), {}, { inputs: { mask: [N, H, 1, S] }, nodes: [] }) },
  ],
];

/** To ONNX Runtime, a mask has all steps of queries and keys. */
function withAllSteps(parts: GraphParts): GraphParts {
  const nodes = parts.nodes.flatMap((each) => {
    const mask = each.opType === 'Attention' ? each.inputs[3] : undefined;
    if (mask === undefined) return [each];
    const all = [constant('all', list(T, S)), node('Expand', [mask, 'all'], 'wide')];
    return [...all, { ...each, inputs: each.inputs.with(3, 'wide') }];
  });
  return { ...parts, nodes };
}

/** Attention of operator set 23. */
export const ATTENTION_CASES: readonly NodeCase[] = cases.map(([does, parts, values]) => ({
  does: `Attention ${does}`,
  parts,
  theirs: withAllSteps(parts),
  ...(values === undefined ? {} : { values }),
}));
