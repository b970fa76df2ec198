import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { f32, filled, i64, list } from './kernel-graphs.ts';
import { constant, node } from './onnx-graphs.ts';

/** Sizes of a small Llama. */
export const LLAMA = { vocabulary: 24, steps: 8, width: 16, heads: 4, keyHeads: 2, inner: 32, layers: 2 } as const;

const { vocabulary, steps, width, heads, keyHeads, inner, layers } = LLAMA;
const headWidth = width / heads;

/** Positions that the tables of angles have rows for. */
const ROWS = 32;

/**
 * A decoder as torch.onnx.export writes one from operator set 23 on: RMSNormalization, RotaryEmbedding, Attention of heads that share keys,
 * and SwiGLU, tokens [samples, T] -> logits [samples, T, V].
 * Source: Touvron et al., "Llama 2", 2023, section 2.2.
 */
export function llamaFile(): OnnxGraph {
  const weights = new Map<string, OnnxTensor>();
  const weight = (name: string, ...shape: number[]): string => {
    const { data } = filled(shape, weights.size + 1);
    const isScale = shape.length === 1;
    weights.set(
      name,
      f32(
        shape,
        Array.from<number | bigint, number>(data, Number).map((value) => (isScale ? 1 + 0.1 * value : 0.5 * value)),
      ),
    );
    return name;
  };
  const angles = Array.from({ length: ROWS * (headWidth / 2) }, (_, i) => {
    const [row, pair] = [Math.floor(i / (headWidth / 2)), i % (headWidth / 2)];
    return row * 10000 ** ((-2 * pair) / headWidth);
  });
  weights.set('cos_cached', f32([ROWS, headWidth / 2], angles.map(Math.cos)));
  weights.set('sin_cached', f32([ROWS, headWidth / 2], angles.map(Math.sin)));
  const nodes = [
    constant('range', i64([1, steps], [...Array(steps).keys()])),
    node('Shape', ['tokens'], 'shape'),
    node('Expand', ['range', 'shape'], 'positions'),
    constant('byHead', list(0, 0, -1, headWidth)),
    constant('joined', list(0, 0, width)),
    node('Gather', [weight('embedding', vocabulary, width), 'tokens'], 'x0'),
    ...Array.from({ length: layers }, (_, layer) =>
      block(`layers.${layer}`, `x${layer}`, `x${layer + 1}`, weight),
    ).flat(),
    node('RMSNormalization', [`x${layers}`, weight('norm', width)], 'last', {
      epsilon: { type: 'float', value: 1e-6 },
    }),
    node('MatMul', ['last', weight('head', width, vocabulary)], 'y'),
  ];
  return {
    name: 'llama',
    opset: 23,
    inputs: [{ name: 'tokens', dtype: 'int64', shape: ['samples', steps] }],
    outputs: [{ name: 'y', dtype: 'float32', shape: ['samples', steps, vocabulary] }],
    initializers: weights,
    nodes,
  };
}

function block(name: string, x: string, y: string, weight: (name: string, ...shape: number[]) => string): OnnxNode[] {
  const at = (part: string): string => `${name}.${part}`;
  const epsilon = { type: 'float', value: 1e-6 } as const;
  const projected = (part: string, count: number, turns: boolean): OnnxNode[] => [
    node('MatMul', [at('normed'), weight(at(`${part}.weight`), width, count * headWidth)], at(part)),
    node('Reshape', [at(part), 'byHead'], at(`${part}Cut`)),
    node('Transpose', [at(`${part}Cut`)], at(`${part}Heads`), { perm: [0, 2, 1, 3] }),
    ...(turns
      ? [node('RotaryEmbedding', [at(`${part}Heads`), 'cos_cached', 'sin_cached', 'positions'], at(`${part}Turned`))]
      : []),
  ];
  return [
    node('RMSNormalization', [x, weight(at('norm1'), width)], at('normed'), { epsilon }),
    ...projected('q', heads, true),
    ...projected('k', keyHeads, true),
    ...projected('v', keyHeads, false),
    node('Attention', [at('qTurned'), at('kTurned'), at('vHeads')], at('attended'), { is_causal: 1 }),
    node('Transpose', [at('attended')], at('turned'), { perm: [0, 2, 1, 3] }),
    node('Reshape', [at('turned'), 'joined'], at('joined')),
    node('MatMul', [at('joined'), weight(at('o.weight'), width, width)], at('o')),
    node('Add', [x, at('o')], at('middle')),
    node('RMSNormalization', [at('middle'), weight(at('norm2'), width)], at('normed2'), { epsilon }),
    node('MatMul', [at('normed2'), weight(at('gate'), width, inner)], at('gated')),
    node('Sigmoid', [at('gated')], at('share')),
    node('Mul', [at('gated'), at('share')], at('silu')),
    node('MatMul', [at('normed2'), weight(at('up'), width, inner)], at('upper')),
    node('Mul', [at('silu'), at('upper')], at('product')),
    node('MatMul', [at('product'), weight(at('down'), inner, width)], at('lower')),
    node('Add', [at('middle'), at('lower')], y),
  ];
}
