import test from 'ava';
import { useChannelwiseConvolutions } from '../../runtime/kernels/onnxruntime/affine-maps.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import type { PlainAttributes } from '../support/kernel-graphs.ts';
import { filled, float, node, nodeGraph, runGraph } from '../support/kernel-graphs.ts';

/** A normalization by moments, and a Relu after it. */
function graphOf(shape: readonly number[], attributes: PlainAttributes): OnnxGraph {
  const vectors = [2, 3, 4, 5].map((seed) => filled([shape[1]!], seed));
  const inputs = [filled(shape, 1), ...vectors];
  const graph = nodeGraph({ op: 'BatchNormalization', attributes, inputs }, [{ dtype: 'float32', shape }]);
  return { ...graph, nodes: [{ ...graph.nodes[0]!, outputs: ['z'] }, node('Relu', ['z'], ['y0'])] };
}

test('normalizations of images become convolutions, with a Relu as without; others stay', (t) => {
  const typesOf = (graph: OnnxGraph): string =>
    useChannelwiseConvolutions(graph)
      .nodes.map(({ opType }) => opType)
      .join(' ');
  t.is(typesOf(graphOf([2, 3, 4, 5], {})), 'Add Sqrt Div Mul Sub Reshape Conv Relu');
  t.is(typesOf(graphOf([2, 3], {})), 'BatchNormalization Relu');
  t.is(typesOf(graphOf([2, 3, 4, 5], { training_mode: 1 })), 'BatchNormalization Relu');
});

test('a normalization and its Relu give what the reference does', async (t) => {
  for (const attributes of [{}, { epsilon: float(0.25) }]) {
    const graph = graphOf([3, 5, 4, 7], attributes);
    const values = Object.fromEntries(
      graph.inputs.map(({ name, shape }, i) => [name, Array.from(filled(shape.map(Number), i + 1).data, Number)]),
    );
    // A variance is not negative.
    values['x4'] = values['x4']!.map((value) => value + 1.5);
    const engines = [createOnnxRuntimeEngine({ threads: 2 }), createReferenceEngine()];
    const [ours, theirs] = await Promise.all(engines.map((engine) => runGraph(engine, graph, values)));
    theirs!['y0']!.forEach((value, i) => t.true(Math.abs(Number(value) - Number(ours!['y0']![i])) < 1e-6));
    t.true(theirs!['y0']!.some((value) => Number(value) > 0.1));
    for (const engine of engines) engine.close();
  }
});
