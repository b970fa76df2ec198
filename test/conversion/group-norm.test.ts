import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import type { OnnxGraph, OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { f32, filled, list, node, runGraph } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import { runWhole } from '../support/op-splits.ts';

const SHAPE = [2, 6, 3, 4];
const X = filled(SHAPE);
const [GAMMA, BETA] = [filled([6], 2), filled([6], 3)];
const column = ({ data }: OnnxTensor): OnnxTensor => f32([6, 1, 1], Array.from<number | bigint, number>(data, Number));
const constant = (output: string, value: OnnxTensor): OnnxNode => ({
  ...node('Constant', [], [output]),
  attributes: { value: { type: 'tensor', value } },
});

/** As torch.onnx exports torch.nn.GroupNorm(3, 6); its weights as columns where the exporter has folded what makes them so. */
function groupNorm(folded: boolean, scale: OnnxTensor, weights: Record<string, OnnxTensor> = {}): OnnxGraph {
  const made = folded ? [] : ['gamma', 'beta'].map((name) => node('Unsqueeze', [`${name}.weight`, 'axes'], [name]));
  const initializers: Record<string, OnnxTensor> = folded
    ? { gamma: column(GAMMA), beta: column(BETA) }
    : { 'gamma.weight': GAMMA, 'beta.weight': BETA };
  return {
    name: 'g',
    opset: 17,
    inputs: [{ name: 'x', dtype: 'float32', shape: SHAPE }],
    outputs: [{ name: 'y', dtype: 'float32', shape: SHAPE }],
    initializers: new Map(Object.entries({ ...initializers, ...weights })),
    nodes: [
      constant('axes', list(1, 2)),
      constant('grouping', list(0, 3, -1)),
      ...('ones' in weights ? [] : [constant('ones', scale)]),
      constant('zeros', f32([3], [0, 0, 0])),
      node('Reshape', ['x', 'grouping'], ['grouped']),
      node('InstanceNormalization', ['grouped', 'ones', 'zeros'], ['normalized']),
      node('Shape', ['x'], ['shape']),
      node('Reshape', ['normalized', 'shape'], ['back']),
      ...made,
      node('Mul', ['back', 'gamma'], ['scaled']),
      node('Add', ['scaled', 'beta'], ['y']),
    ].map((each, i) => ({ ...each, name: `${each.opType}_${i}` })),
  };
}

const ONES = f32([3], [1, 1, 1]);

for (const folded of [false, true]) {
  test(`a GroupNorm of PyTorch with ${folded ? 'folded ' : ''}weights is one op with the same result`, async (t) => {
    const onnx = groupNorm(folded, ONES);
    const { graph } = importOnnx(onnx, { batch: 2 });
    t.deepEqual(
      graph.ops.map(({ kind, attributes }) => [kind, attributes['groups']]),
      [['groupNorm', 3]],
    );
    const inputs = [X, GAMMA, BETA].map(({ data }) => Array.from<number | bigint, number>(data, Number));
    const built = { graph, op: graph.ops[0]!, inputs, wants: [false, false, false], gradOutputs: [inputs[0]!] };
    const engine = createOnnxRuntimeEngine({ threads: 1 });
    const { outputs } = await runWhole(built, { engine });
    const { y } = await runGraph(engine, onnx, { x: inputs[0]! });
    engine.close();
    t.true(distance(outputs[0]!, Float32Array.from(y!, Number)) <= 2e-6);
  });
}

test('groups with a scale of their own, or a trained one, stay what they are', (t) => {
  for (const onnx of [groupNorm(false, f32([3], [1, 1, 2])), groupNorm(false, ONES, { ones: ONES })]) {
    const { graph } = importOnnx(onnx, { batch: 2 });
    t.true(graph.ops.some(({ kind }) => kind === 'instanceNorm'));
  }
});
