import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../../soap/onnx/model.ts';
import { int, ints } from '../../../soap/ops/emitter.ts';
import { numberAttribute } from './attributes.ts';

/** Of a node without the attribute. Source: ONNX BatchNormalization. */
const USUAL_EPSILON = 1e-5;

/**
 * Rewrites normalizations of images by given moments into convolutions of one tap, each channel for itself: both multiply a channel
 * with a number and add another, but the library does the former in one thread however many there are, and makes a sum or a Relu
 * that follows part of the latter.
 *
 * Source: onnxruntime/core/providers/cpu/nn/batch_norm.h; MLAS, convolve.cpp, MlasConv; speeds measured in docs/performance/kernels.md.
 */
export function useChannelwiseConvolutions(graph: OnnxGraph): OnnxGraph {
  const values = [...graph.inputs, ...(graph.inner ?? [])];
  const shapes = new Map(values.map(({ name, shape }) => [name, shape.map(Number)]));
  const initializers = new Map(graph.initializers);
  const nodes = graph.nodes.flatMap((node, index) => {
    const shape = shapes.get(node.inputs[0]!);
    if (shape === undefined || !isAffine(node, shape)) return [node];
    return convolution(node, shape[1]!, `affine${index}_`, initializers);
  });
  return { ...graph, nodes, initializers };
}

/** Whether a node normalizes images [N, C, height, width] by moments that are its inputs. */
function isAffine({ opType, domain, attributes, outputs }: OnnxNode, shape: readonly number[]): boolean {
  const isNormalization = opType === 'BatchNormalization' && domain === '' && outputs.length === 1;
  return isNormalization && attributes['training_mode'] === undefined && shape.length === 4;
}

/** The factor of a channel is scale / sqrt(variance + epsilon), a weight of one tap; shift - mean * factor is its bias. */
function convolution(
  normalization: OnnxNode,
  channels: number,
  prefix: string,
  initializers: Map<string, OnnxTensor>,
): OnnxNode[] {
  const { inputs, outputs } = normalization;
  const [x, scale, shift, mean, variance] = inputs;
  const name = (text: string): string => `${prefix}${text}`;
  const least = numberAttribute(normalization, 'epsilon', USUAL_EPSILON);
  initializers.set(name('epsilon'), { dtype: 'float32', shape: [], data: Float32Array.of(least) });
  const weightShape = BigInt64Array.from([channels, 1, 1, 1], BigInt);
  initializers.set(name('shape'), { dtype: 'int64', shape: [weightShape.length], data: weightShape });
  const node = (opType: string, from: readonly string[], to: string): OnnxNode => {
    return { name: to, opType, domain: '', inputs: from, outputs: [to], attributes: {} };
  };
  return [
    node('Add', [variance!, name('epsilon')], name('raised')),
    node('Sqrt', [name('raised')], name('deviation')),
    node('Div', [scale!, name('deviation')], name('factor')),
    node('Mul', [mean!, name('factor')], name('moved')),
    node('Sub', [shift!, name('moved')], name('bias')),
    node('Reshape', [name('factor'), name('shape')], name('weight')),
    {
      ...node('Conv', [x!, name('weight'), name('bias')], outputs[0]!),
      attributes: { group: int(channels), kernel_shape: ints([1, 1]) },
    },
  ];
}
