/**
 * The gradient of a convolution's weight as a convolution over samples, or of kernels for each channel as one of the channels of all samples,
 * against the textbook's loops, on every engine.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { Rewriter } from '../../runtime/kernels/device/rewriter.ts';
import { writeSampleConvolution } from '../../runtime/kernels/device/sample-convolution-form.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { convWeightGradient } from '../../soap/ops/conv-weight-gradient.ts';
import { ALONE, Emitter } from '../../soap/ops/emitter.ts';
import { filled, runGraph } from '../support/kernel-graphs.ts';
import type { Geometry } from '../kernels/naive.ts';
import { convExtents, naiveConvWeightGradient } from '../kernels/naive.ts';
import { mismatch } from '../kernels/mismatch.ts';

/** Relative to the largest element: float32 sums of some thousand terms, in another order. */
const TOLERANCE = 5e-6;

/** Windows that end with the last place, as those of parts do. */
const geometry: fc.Arbitrary<Geometry> = fc
  .record({
    n: fc.constantFrom(1, 2, 5, 6, 9, 16, 22),
    c: fc.integer({ min: 1, max: 5 }),
    m: fc.constantFrom(16, 32),
    places: fc.tuple(fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 7 })),
    kernel: fc.constantFrom([3, 3] as const, [1, 3] as const, [5, 2] as const),
    strides: fc.constantFrom([1, 1] as const, [2, 1] as const, [2, 3] as const),
    pads: fc.constantFrom([0, 0, 0, 0] as const, [1, 1, 1, 1] as const, [0, 1, 2, 0] as const),
  })
  .map(({ places, ...g }) => {
    const extent = (axis: 0 | 1): number =>
      (places[axis] - 1) * g.strides[axis] + g.kernel[axis] - g.pads[axis] - (axis === 0 ? g.pads[2] : g.pads[3]);
    const input = [extent(0), extent(1)] as const;
    return { ...g, input, group: 1, dilations: [1, 1] as const, outputPadding: [0, 0] as const };
  })
  .filter(({ input }) => Math.min(...input) > 0);

/** The gradient of the weight `output0`, from x `input0` and the gradients at the places `input1`. */
function gradientGraph(g: Geometry): OnnxGraph {
  const shapes = [
    [g.n, g.c, ...g.input],
    [g.n, g.m, ...convExtents(g)],
  ];
  const inputs = shapes.map((shape, i) => ({ name: `input${i}`, dtype: 'float32' as const, shape }));
  const emit = new Emitter({ inputs, outputs: [], saved: [], wantsGradInput: [], group: ALONE });
  const { kernel, strides, dilations, group: groups } = g;
  const window = { kernel, strides, dilations, padsBegin: g.pads.slice(0, 2), padsEnd: g.pads.slice(2) };
  const meeting = { window, pads: g.pads, groups, x: emit.input(0), places: emit.input(1) };
  emit.setOutput(0, convWeightGradient(emit, meeting));
  return emit.build('weight gradient');
}

/** How the gradient differs from the textbook's. */
async function difference(
  engine: KernelEngine,
  g: Geometry,
  graph: OnnxGraph = gradientGraph(g),
): Promise<string | undefined> {
  const [x, dy] = graph.inputs.map(({ shape }, i) => filled(shape.map(Number), i + 1).data);
  const results = await runGraph(engine, graph, { input0: x!, input1: dy! });
  const [first, second] = [x, dy].map((data) => Float64Array.from(data!, Number));
  const expected = Float64Array.from(naiveConvWeightGradient(first!, second!, g));
  return mismatch([{ data: expected }], [results['output0']!], TOLERANCE);
}

for (const [name, create, numRuns] of [
  ['ONNX Runtime', () => createOnnxRuntimeEngine({ threads: 2 }), 60],
  ['the reference', createReferenceEngine, 20],
] as const) {
  test(`weight gradients over samples are the textbook's, on ${name}`, async (t) => {
    const engine = create();
    const property = fc.asyncProperty(geometry, async (g) => t.is(await difference(engine, g), undefined));
    await fc.assert(property, { numRuns });
    engine.close();
  });
}

/** Kernels for each channel: `c` and `m` count channels, those of all samples whole blocks or not. */
const depthwise: fc.Arbitrary<Geometry> = fc
  .record({ of: geometry, channels: fc.constantFrom(3, 8, 16), dilation: fc.constantFrom(1, 2) })
  .map(({ of: g, channels, dilation }) => {
    const input = [0, 1].map((axis) => g.input[axis]! + (dilation - 1) * (g.kernel[axis]! - 1));
    const dilations = [dilation, dilation] as const;
    return { ...g, c: channels, m: channels, group: channels, input: [input[0]!, input[1]!], dilations };
  });

/** The gradient of each channel's kernel by itself, [channels, 1, ...kernel]. */
function naiveOfEach(x: OnnxTensor, dy: OnnxTensor, g: Geometry): number[] {
  const ofChannel = ({ shape, data }: OnnxTensor, channel: number): number[] => {
    const count = shape[2]! * shape[3]!;
    return Array.from(data, Number).filter((_, i) => Math.floor(i / count) % g.c === channel);
  };
  const alone = { ...g, c: 1, m: 1, group: 1 };
  return Array.from({ length: g.c }, (_, channel) =>
    naiveConvWeightGradient(ofChannel(x, channel), ofChannel(dy, channel), alone),
  ).flat();
}

for (const [name, create, numRuns] of [
  ['ONNX Runtime', () => createOnnxRuntimeEngine({ threads: 2 }), 60],
  ['the reference', createReferenceEngine, 20],
] as const) {
  test(`weight gradients of kernels for each channel are the textbook's, on ${name}`, async (t) => {
    const engine = create();
    const property = fc.asyncProperty(depthwise, async (g) => {
      const graph = gradientGraph(g);
      const isWhole = (g.n * g.c) % 16 === 0;
      t.is(graph.nodes.filter(({ opType }) => opType === 'Conv').length, isWhole ? 1 : 0);
      const [x, dy] = graph.inputs.map(({ shape }, i) => filled(shape.map(Number), i + 1));
      const { output0 } = await runGraph(engine, graph, { input0: x!.data, input1: dy!.data });
      const expected = Float64Array.from(naiveOfEach(x!, dy!, g));
      t.is(mismatch([{ data: expected }], [output0!], TOLERANCE), undefined);
    });
    await fc.assert(property, { numRuns });
    engine.close();
  });
}

for (const [taps, mostBytes] of [
  ['all taps together', undefined],
  ['two or three taps together', 3000],
  ['each tap by itself', 1],
] as const) {
  test(`the form for GPUs is the same, without a convolution: ${taps}`, async (t) => {
    const engine = createReferenceEngine();
    const property = fc.asyncProperty(geometry, async (g) => {
      const rules = new Map([[':Conv', (node: OnnxNode, to: Rewriter) => writeSampleConvolution(node, to, mostBytes)]]);
      const graph = new Rewriter(gradientGraph(g)).apply(rules);
      const [[rows, columns], [height, width]] = [convExtents(g), g.kernel];
      if (g.c > 1 && rows * columns >= height * width) t.false(graph.nodes.some(({ opType }) => opType === 'Conv'));
      t.is(await difference(engine, g, graph), undefined);
    });
    await fc.assert(property, { numRuns: 30 });
    engine.close();
  });
}

test('of one tap, dilated, with channels or samples that do not come out even, they are products', (t) => {
  const [g] = fc.sample(geometry, { numRuns: 1, seed: 2 });
  const types = (changed: Partial<Geometry>): string[] =>
    gradientGraph({
      ...g!,
      n: 2,
      input: [9, 9],
      pads: [0, 0, 0, 0],
      strides: [1, 1],
      kernel: [3, 3],
      ...changed,
    }).nodes.map(({ opType }) => opType);
  t.true(types({}).includes('Conv'));
  for (const changed of [{ dilations: [2, 2] }, { kernel: [1, 1] }, { m: 24 }, { n: 11 }] as const)
    t.false(types(changed).includes('Conv'), JSON.stringify(changed));
});
