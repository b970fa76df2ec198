import test from 'ava';
import { bool, f32, float, list } from '../support/kernel-graphs.ts';
import { lowerNode } from '../../soap/conversion/lower.ts';
import type { ImportContext } from '../../soap/ops/op.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, imported, node, problemsOf } from '../support/onnx-graphs.ts';

/** Samples, heads, steps, width of a head. */
const [N, H, T, D] = [2, 4, 3, 6];
const APART = { q: [N, H, T, D], k: [N, H, T, D], v: [N, H, T, D] };
const JOINED = { q: [N, T, H * D], k: [N, T, H * D], v: [N, T, H * D] };

type Attributes = Parameters<typeof node>[3];

const attention = (
  attributes: Attributes = {},
  inputs: NonNullable<GraphParts['inputs']> = APART,
  more: readonly string[] = [],
): GraphParts => ({ inputs, opset: 23, nodes: [node('Attention', ['q', 'k', 'v', ...more], 'y', attributes)] });
/** What an importer knows of a node with inputs that are computed. */
const UNKNOWN: ImportContext = {
  constant: () => undefined,
  scalar: () => undefined,
  shape: () => [],
  fileShape: () => undefined,
  dtype: () => 'float32',
  computed: () => true,
  trained: () => false,
  maker: () => undefined,
  isKnown: () => false,
  isRead: () => false,
  opset: 23,
  batch: { file: undefined, job: N },
};
const kinds = (parts: GraphParts): string[] => imported(parts).graph.ops.map(({ kind }) => kind);

test('an Attention of as many heads of keys as of queries, without a mask or causal, is the op', (t) => {
  const heads = { q_num_heads: H, kv_num_heads: H };
  t.deepEqual(kinds(attention(heads, JOINED)), ['attention']);
  const { graph } = imported(attention({ ...heads, is_causal: 1 }, JOINED));
  t.deepEqual(
    graph.ops.map(({ kind, attributes }) => [kind, attributes]),
    [['attention', { heads: H, causal: true }]],
  );
  const lower = bool([T, T], [1, 0, 0, 1, 1, 0, 1, 1, 1]);
  const masked = attention(heads, JOINED, ['mask']);
  t.deepEqual(kinds({ ...masked, nodes: [constant('mask', lower), ...masked.nodes] }), ['attention']);
  t.false(kinds(attention({ ...heads, scale: float(0.5) }, JOINED)).includes('attention'));
  t.false(kinds(attention({ ...heads, softcap: float(2) }, JOINED)).includes('attention'));
});

test("scaled_dot_product_attention of a module, as PyTorch's exporter writes it, is the op", (t) => {
  const cut = (name: string, input: string): ReturnType<typeof node>[] => [
    node('Reshape', [input, 'heads'], `${name}Apart`),
    node('Transpose', [`${name}Apart`], name, { perm: [0, 2, 1, 3] }),
  ];
  const nodes = [
    constant('heads', list(0, T, H, D)),
    ...['q', 'k', 'v'].flatMap((name) => cut(name, `${name}In`)),
    // It names all results, and nothing reads those behind the first.
    node('Attention', ['q', 'k', 'v'], ['a', 'present_key', 'present_value', 'scores'], { is_causal: 1 }),
    node('Transpose', ['a'], 'turned', { perm: [0, 2, 1, 3] }),
    constant('joined', list(0, T, H * D)),
    node('Reshape', ['turned', 'joined'], 'y'),
  ];
  const inputs = Object.fromEntries(['qIn', 'kIn', 'vIn'].map((name) => [name, [N, T, H * D]]));
  t.deepEqual(kinds({ inputs, opset: 23, nodes }), ['attention']);
});

test('all attentions of so many steps share a causal mask', (t) => {
  const capped = { is_causal: 1, softcap: float(2) };
  const nodes = [
    node('Attention', ['q', 'k', 'v'], 'a', capped),
    node('Attention', ['a', 'k', 'v'], 'b', capped),
    node('Attention', ['b', 'k', 'v'], 'y', capped),
  ];
  const found = kinds({ inputs: APART, opset: 23, nodes });
  t.deepEqual(
    ['constant', 'softmax'].map((kind) => found.filter((each) => each === kind).length),
    [1, 3],
  );
  // Each of them would take as much memory as all scores of a sample.
  const [attention] = nodes;
  const known = new Set<string>();
  const context = {
    ...UNKNOWN,
    shape: (input: number) => (input < 3 ? APART.q : []),
    isKnown: (name: string) => known.has(name),
  };
  const constants = (): string[] => {
    const written = lowerNode(attention!, context) ?? [];
    return written.flatMap(({ opType, outputs }) => (opType === 'Constant' ? outputs : []));
  };
  const [first] = constants().filter((name) => name.includes('causal'));
  t.is(first, 'attention:causal:3x3');
  known.add(first!);
  t.false(constants().includes(first!));
});

test('cosines and sines of a RotaryEmbedding are not trained, as tables or for each step', (t) => {
  const rotary = (table: readonly number[], positions: readonly string[]): GraphParts => ({
    inputs: { x: [N, H, T, D], places: [N, T] },
    integers: ['places'],
    opset: 23,
    weights: { 'rope.cos': table, 'rope.sin': table, w: [D] },
    nodes: [
      node('Mul', ['x', 'w'], 'scaled'),
      node('RotaryEmbedding', ['scaled', 'rope.cos', 'rope.sin', ...positions], 'y'),
    ],
  });
  for (const parts of [rotary([10, D / 2], ['places']), rotary([N, T, D / 2], [])]) {
    const { graph, weights } = imported(parts);
    t.deepEqual([...weights.keys()], ['w']);
    t.deepEqual(
      graph.tensors.filter(({ role }) => role === 'parameter').map(({ name }) => name),
      ['w'],
    );
  }
});

const rotary = (
  table: readonly number[],
  attributes: Attributes = {},
  x: readonly number[] = [N, H, T, D],
  positions: readonly string[] = [],
): GraphParts => ({
  inputs: { x, places: [N, T] },
  integers: ['places'],
  opset: 23,
  weights: { cos: table, sin: table },
  nodes: [node('RotaryEmbedding', ['x', 'cos', 'sin', ...positions], 'y', attributes)],
});
const cached = (results: string | readonly string[], more: readonly string[] = []): GraphParts => {
  const parts = attention({}, { ...APART, past: [N, H, 2, D], lengths: [N] }, more);
  return { ...parts, integers: ['lengths'], nodes: [{ ...parts.nodes[0]!, outputs: [results].flat() }] };
};

const refused: readonly (readonly [parts: GraphParts, expected: RegExp])[] = [
  [
    cached('y', ['', 'past', 'past']),
    /node 'y' Attention reads past_key, .*; expected whole sequences: export the model without/,
  ],
  [cached('y', ['', '', '', 'lengths']), /reads nonpad_kv_seqlen, which keeps keys and values for inference/],
  [cached(['first', 'y']), /is asked for present_key, which keeps keys and values for inference/],
  [cached(['first', '', 'y']), /is asked for present_value/],
  [cached(['first', '', '', 'y']), /is asked for qk_matmul_output, its scores; expected its first result alone/],
  [attention({ softmax_precision: 10 }), /has softmax_precision 10; expected 1, float32/],
  [attention({ left_window_size: 2 }), /has a window of 2 and -1; expected -1 and -1: give it as a mask/],
  [
    attention({}, { q: [N, T], k: [N, T], v: [N, T] }),
    /shapes \[2,3\], \[2,3\] and \[2,3\]; expected three of \[N, heads, T, width\] or \[N, T, width\]/,
  ],
  [attention({}, { ...APART, k: [N, T, D] }), /expected three of \[N, heads, T, width\] or \[N, T, width\]/],
  [attention({}, JOINED), /has 0 heads of queries and 0 of keys; expected a multiple of these/],
  [
    attention({}, { ...APART, k: [N, 3, T, D], v: [N, 3, T, D] }),
    /4 heads of queries and 3 of keys; expected a multiple/,
  ],
  [
    attention({}, { ...APART, k: [N, 2, T, D] }),
    /with 4 and 2 heads; expected equal samples, steps of keys and values/,
  ],
  [attention({ q_num_heads: 5, kv_num_heads: 5 }, JOINED), /with 5 and 5 heads; .* that are multiples of their heads/],
  [attention({}, { ...APART, v: [N, H, T + 1, D] }), /expected equal samples, steps of keys and values/],
  [
    attention({}, { ...APART, mask: [N, T, 1, T] }, ['mask']),
    /has a mask of shape \[2,3,1,3\] for scores of \[2,4,3,3\]; expected one that broadcasts/,
  ],
  [rotary([N, T, 3], {}, [N, T]), /RotaryEmbedding has shape \[2,3\] and 3 heads; expected \[N, heads, T, width\], or/],
  [rotary([N, T, 3], {}, [N, T, H * D]), /has shape \[2,3,24\] and 0 heads; .* with num_heads/],
  [rotary([N, T, 3], { num_heads: 5 }, [N, T, H * D]), /has shape \[2,3,24\] and 5 heads/],
  [rotary([N, T, 3], { rotary_embedding_dim: 3 }), /turns 3 of 6 elements; expected an even number of at most 6/],
  [rotary([N, T, 3], { rotary_embedding_dim: 8 }), /turns 8 of 6 elements; expected an even number of at most 6/],
  [rotary([N, T, 2]), /has cosines of shape \[2,3,2\]; expected \[2,3,3\]/],
  [rotary([10, 3]), /has cosines of shape \[10,3\]; expected \[2,3,3\]/],
  [
    rotary([10, 2], {}, [N, H, T, D], ['places']),
    /has cosines of shape \[10,2\] for positions of \[2,3\]; expected \[positions, 3\] for positions of \[2,3\]/,
  ],
];
for (const [parts, expected] of refused) {
  test(`a node is refused: ${expected}`, (t) => t.regex(problemsOf(parts).join('\n'), expected));
}

test('a mask of numbers that is a weight is trained', (t) => {
  const parts = attention({}, APART, ['bias']);
  const { graph, weights } = imported({ ...parts, weights: { bias: f32([1, H, T, T], Array(H * T * T).fill(0.5)) } });
  t.deepEqual([...weights.keys()], ['bias']);
  // It hides nothing, so nothing looks after rows in which all is hidden.
  t.false(graph.ops.some(({ kind }) => kind === 'where'));
});
