import type { OnnxGraph, OnnxNode } from '../../../soap/onnx/model.ts';
import { writeWholePad } from './pad-form.ts';
import { writePooling } from './pooling-form.ts';
import type { Rewrite } from './rewriter.ts';
import { Rewriter } from './rewriter.ts';
import { writeSampleConvolution } from './sample-convolution-form.ts';
import { exactScatter } from './scatter-form.ts';
import { writeTransposedConvolution } from './transposed-convolution-form.ts';

/** A bit is kept free. */
const INT32_SUMS = { dtype: 'int32', bits: 30 } as const;

/**
 * Forms of nodes that the WebGPU provider of ONNX Runtime 1.30 does not have, or has wrong. What it lacks beyond them is
 * reported by name when the graph is compiled.
 */
const FORMS: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  [':Sign', sign],
  [':Sum', sum],
  [':LogSoftmax', logSoftmax],
  [':Identity', identity],
  [':HardSigmoid', step],
  ['com.microsoft:FusedMatMul', fusedMatMul],
  [':MaxPool', (node, to) => node.outputs.length > 1 && node.outputs[1] !== '' && writePooling(node, to)],
  [':Conv', writeSampleConvolution],
  [':Pad', writeWholePad],
  [':ConvTranspose', groupedConvTranspose],
  [':ScatterElements', exactScatter(INT32_SUMS)],
  [':ScatterND', exactScatter(INT32_SUMS)],
]);

/** The graph in nodes that the WebGPU provider computes. @throws {KernelError} naming a node that no form is known of */
export function inWebGpuForms(graph: OnnxGraph): OnnxGraph {
  return new Rewriter(graph).apply(FORMS);
}

function sign({ inputs: [x = ''], outputs: [y] }: OnnxNode, to: Rewriter): boolean {
  const zero = to.scalar(0);
  const negative = to.node('Where', [to.node('Less', [x, zero]), to.scalar(-1), zero]);
  to.node('Where', [to.node('Greater', [x, zero]), to.scalar(1), negative], {}, y);
  return true;
}

function sum({ inputs, outputs: [y] }: OnnxNode, to: Rewriter): boolean {
  const [first = '', ...others] = inputs;
  if (others.length === 0) to.node('Identity', [first], {}, y);
  let partial = first;
  others.forEach((term, i) => (partial = to.node('Add', [partial, term], {}, i === others.length - 1 ? y : undefined)));
  return true;
}

/** x - max - ln(sum of e^(x - max)). */
function logSoftmax({ inputs: [x = ''], outputs: [y], attributes }: OnnxNode, to: Rewriter): boolean {
  const { axis } = attributes;
  const along = axis?.type === 'int' ? axis.value : -1;
  const keepdims = { type: 'int', value: 1 } as const;
  const largest = to.node('ReduceMax', [x], { axes: { type: 'ints', value: [along] }, keepdims });
  const shifted = to.node('Sub', [x, largest]);
  const total = to.node('ReduceSum', [to.node('Exp', [shifted]), to.integers(along)], { keepdims });
  to.node('Sub', [shifted, to.node('Log', [total])], {}, y);
  return true;
}

/** A slope this steep is a step: products with it may overflow, which WebGPU leaves undefined. */
const STEEP = 1e30;

/** max(0, min(1, alpha x + beta)) with beta 0 and a steep alpha: whether x is positive. */
function step({ inputs: [x = ''], outputs: [y], attributes: { alpha, beta } }: OnnxNode, to: Rewriter): boolean {
  if (alpha?.type !== 'float' || alpha.value < STEEP || beta?.type !== 'float' || beta.value !== 0) return false;
  to.node('Where', [to.node('Greater', [x, to.scalar(0)]), to.scalar(1), to.scalar(0)], {}, y);
  return true;
}

/** The provider's Identity takes no int64. */
function identity({ inputs: [x = ''], outputs: [y] }: OnnxNode, to: Rewriter): boolean {
  if (to.dtypeOf(x) !== 'int64') return false;
  to.node('Reshape', [x, to.integers(...to.shapeOf(x))], {}, y);
  return true;
}

/** alpha * A * B, of which each may be transposed in its last two axes. Source: ONNX Runtime's contrib operators. */
function fusedMatMul({ inputs: [a = '', b = ''], outputs: [y], attributes }: OnnxNode, to: Rewriter): boolean {
  for (const name of ['transBatchA', 'transBatchB']) {
    const { [name]: attribute } = attributes;
    if (attribute?.type === 'int' && attribute.value !== 0) throw to.error(`no form with ${name} is known on WebGPU`);
  }
  const operand = (name: string, flag: string): string => {
    const { [flag]: attribute } = attributes;
    const rank = to.shapeOf(name).length;
    if (attribute?.type !== 'int' || attribute.value === 0 || rank < 2) return name;
    const perm = [...Array(rank - 2).keys(), rank - 1, rank - 2];
    return to.node('Transpose', [name], { perm: { type: 'ints', value: perm } });
  };
  const factors = [operand(a, 'transA'), operand(b, 'transB')];
  const { alpha } = attributes;
  const scale = alpha?.type === 'float' ? alpha.value : 1;
  if (scale === 1) to.node('MatMul', factors, {}, y);
  else to.node('Mul', [to.node('MatMul', factors), to.scalar(scale)], {}, y);
  return true;
}

/** What a ConvTranspose may read: samples, channels and at most two spatial axes. Source: its message when it runs. */
const MOST_AXES = 4;

/**
 * The provider's ConvTranspose is wrong, silently, with several groups of an even number of input channels and one output
 * channel: it gets a second one of zeros, which is left out again.
 */
function groupedConvTranspose(node: OnnxNode, to: Rewriter): boolean {
  const {
    inputs,
    outputs: [y],
    attributes,
  } = node;
  const [x = '', weight = '', bias = ''] = inputs;
  const rank = to.shapeOf(x).length;
  if (rank > MOST_AXES) return writeTransposedConvolution(node, to);
  const groups = attributes['group']?.type === 'int' ? attributes['group'].value : 1;
  if (groups === 1 || to.shapeOf(weight)[1] !== 1 || to.shapeOf(x)[1] === groups) return false;
  if (bias !== '') throw to.error('no form of a ConvTranspose in groups with a bias is known on WebGPU');
  const zeros = to.node('Mul', [weight, to.scalar(0)]);
  const doubled = to.node('Concat', [weight, zeros], { axis: { type: 'int', value: 1 } });
  const both = to.node('ConvTranspose', [x, doubled], attributes);
  const bounds = [to.integers(0), to.integers(2 * groups), to.integers(1), to.integers(2)];
  to.node('Slice', [both, ...bounds], {}, y);
  return true;
}
