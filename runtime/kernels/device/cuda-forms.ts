import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import { writeLargeKernelConvolution } from './large-kernel-form.ts';
import { writeWholePad } from './pad-form.ts';
import type { Rewrite } from './rewriter.ts';
import { Rewriter } from './rewriter.ts';
import { writeSampleConvolution } from './sample-convolution-form.ts';
import { exactScatter } from './scatter-form.ts';
import { writeTransposedConvolution } from './transposed-convolution-form.ts';

/**
 * Of its scatters that add, ScatterND takes float32 alone, and ScatterElements takes an int32's bits for a float32's. Both add numbers in whatever
 * order; whole ones exactly, up to the bits of their fractions. Source: tried on an H100, docs/gpu.md.
 */
const [FLOAT32_SUMS, FLOAT64_SUMS] = [
  { dtype: 'float32', bits: 24 },
  { dtype: 'float64', bits: 53 },
] as const;

/**
 * Forms of nodes that the CUDA provider of ONNX Runtime 1.30 does not have, or whose sums have no fixed order. What it lacks beyond
 * them is reported by name when the graph is compiled.
 */
const FORMS: ReadonlyMap<string, Rewrite> = new Map<string, Rewrite>([
  [':Conv', (node, to) => writeSampleConvolution(node, to) || writeLargeKernelConvolution(node, to)],
  // cuDNN's own, unlike its convolutions, were seen to add in whatever order: three shapes of twelve, on an H100.
  [':ConvTranspose', writeTransposedConvolution],
  [':Pad', writeWholePad],
  [':ScatterElements', exactScatter(FLOAT64_SUMS)],
  [':ScatterND', exactScatter(FLOAT32_SUMS)],
]);

/** The graph in nodes that the CUDA provider computes. @throws {KernelError} naming a node that no form is known of */
export function inCudaForms(graph: OnnxGraph): OnnxGraph {
  return new Rewriter(graph).apply(FORMS);
}
