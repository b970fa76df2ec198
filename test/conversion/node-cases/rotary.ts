import { filled, i64 } from '../../support/kernel-graphs.ts';
import type { NodeCase } from '../../support/beside-runtime.ts';
import type { GraphParts } from '../../support/onnx-graphs.ts';
import { constant, node } from '../../support/onnx-graphs.ts';

/** Samples, heads, steps, width of a head, rows of a table of angles. */
const [N, H, T, D, ROWS] = [2, 3, 4, 6, 7];

interface Options {
  readonly isJoined?: boolean;
  /** Where positions come from; without, there are angles for each step. */
  readonly positions?: '' | 'fed' | 'constant';
  readonly turned?: number;
}

const rotary = (
  attributes: Parameters<typeof node>[3],
  { isJoined = false, positions = '', turned = D }: Options = {},
): GraphParts => {
  const table = positions === '' ? [N, T, turned / 2] : [ROWS, turned / 2];
  const places = Array.from({ length: N * T }, (_, i) => (i * 3) % ROWS);
  return {
    inputs: { x: isJoined ? [N, T, H * D] : [N, H, T, D], ...(positions === 'fed' ? { places: [N, T] } : {}) },
    integers: ['places'],
    opset: 23,
    // Names of their own, as tables have that are buffers of a module: to train them would be wrong.
    weights: { cos_cache: filled(table, 5), sin_cache: filled(table, 6) },
    nodes: [
      ...(positions === 'constant' ? [constant('places', i64([N, T], places))] : []),
      node('RotaryEmbedding', ['x', 'cos_cache', 'sin_cache', ...(positions === '' ? [] : ['places'])], 'y', {
        ...attributes,
        ...(isJoined ? { num_heads: H } : {}),
      }),
    ],
  };
};

const cases: readonly (readonly [does: string, parts: GraphParts])[] = [
  ['of heads', rotary({})],
  ['of heads within the last axis', rotary({}, { isJoined: true })],
  ['of pairs beside each other', rotary({ interleaved: 1 })],
  ['of pairs beside each other, within the last axis', rotary({ interleaved: 1 }, { isJoined: true })],
  ['by positions that are fed', rotary({}, { positions: 'fed' })],
  ['by constant positions', rotary({ interleaved: 1 }, { positions: 'constant', isJoined: true })],
  ['of the first elements', rotary({ rotary_embedding_dim: 4 }, { turned: 4 })],
  [
    'of the first elements, pairs beside each other',
    rotary({ rotary_embedding_dim: 4, interleaved: 1 }, { turned: 4, positions: 'fed', isJoined: true }),
  ],
];

/** RotaryEmbedding of operator set 23. */
export const ROTARY_CASES: readonly NodeCase[] = cases.map(([does, parts]) => ({
  does: `RotaryEmbedding ${does}`,
  parts,
}));
