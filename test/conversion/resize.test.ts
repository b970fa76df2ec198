import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxNode, OnnxTensor } from '../../soap/onnx/model.ts';
import { f32, filled, list } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import type { GraphParts } from '../support/onnx-graphs.ts';
import { constant, imported, node, opLines, problemsOf } from '../support/onnx-graphs.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

const engines = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 })];
test.after.always(() => {
  for (const engine of engines) engine.close();
});

type Attributes = Readonly<Record<string, string | number | readonly number[]>>;

/** A Resize of x by scales, or to sizes. */
function resize(
  by: { scales?: OnnxTensor; sizes?: OnnxTensor },
  attributes: Attributes,
  shape = [1, 1, 2, 2],
): GraphParts {
  const given = [by.scales, by.sizes].map((value, i): OnnxNode[] =>
    value === undefined ? [] : [constant(`by${i}`, value)],
  );
  const names = given.map((nodes) => nodes[0]?.name ?? '');
  return {
    inputs: { x: shape },
    opset: 18,
    nodes: [...given.flat(), node('Resize', ['x', '', ...names], 'y', attributes)],
  };
}

const TWICE = { scales: f32([4], [1, 1, 2, 2]) };
const LINEAR = { mode: 'linear', coordinate_transformation_mode: 'pytorch_half_pixel' };
const NEAREST = { mode: 'nearest', coordinate_transformation_mode: 'asymmetric', nearest_mode: 'floor' };

// torch.nn.functional.interpolate of PyTorch 2.13 gives these for [[1, 2], [3, 4]]; the last two by the text of the operator.
const cases: [does: string, parts: GraphParts, expected: number[]][] = [
  ['nearest, twice', resize(TWICE, NEAREST), [1, 1, 2, 2, 1, 1, 2, 2, 3, 3, 4, 4, 3, 3, 4, 4]],
  [
    'linear, twice',
    resize(TWICE, LINEAR),
    [1, 1.25, 1.75, 2, 1.5, 1.75, 2.25, 2.5, 2.5, 2.75, 3.25, 3.5, 3, 3.25, 3.75, 4],
  ],
  [
    'linear, corners on corners',
    resize(TWICE, { ...LINEAR, coordinate_transformation_mode: 'align_corners' }),
    [3, 4, 5, 6, 5, 6, 7, 8, 7, 8, 9, 10, 9, 10, 11, 12].map((third) => third / 3),
  ],
  [
    'linear, to sizes of a file with another batch',
    resize({ sizes: list(7, 1, 3, 4) }, LINEAR),
    [1, 1.25, 1.75, 2, 2, 2.25, 2.75, 3, 3, 3.25, 3.75, 4],
  ],
  ['nearest, to sizes', resize({ sizes: list(1, 1, 3, 5) }, NEAREST), [1, 1, 1, 2, 2, 1, 1, 1, 2, 2, 3, 3, 3, 4, 4]],
  ['one axis, by name', resize({ sizes: list(4) }, { ...LINEAR, axes: [-1] }), [1, 1.25, 1.75, 2, 3, 3.25, 3.75, 4]],
  [
    'nearest, rounded up at the middle',
    resize({ scales: f32([4], [1, 1, 1, 1.5]) }, { ...NEAREST, nearest_mode: 'ceil' }),
    [1, 2, 2, 3, 4, 4],
  ],
];
for (const [does, parts, expected] of cases) {
  test(`Resize ${does}`, async (t) => {
    const model = imported(parts);
    const { graph } = model;
    const g = Array.from(filled([expected.length], 3).data, Number);
    for (const engine of engines) {
      const { tensors, backward } = await runWholeGraph(model, { x: [1, 2, 3, 4] }, engine);
      t.true(distance(Array.from(tensors[graph.outputs[0]!]!, Number), expected) <= 1e-6);
      // A linear map and its transpose: g of what it makes of x is what the transpose makes of g, of x.
      const gradient = (await backward(g))[graph.inputs[0]!]!;
      const ahead = expected.reduce((sum, value, i) => sum + value * g[i]!, 0);
      const back = [1, 2, 3, 4].reduce((sum, value, i) => sum + value * gradient[i]!, 0);
      t.true(Math.abs(ahead - back) <= 1e-5);
      t.is(gradient.length, 4);
    }
  });
}

test('Resize to what it is does nothing, and keeps the batch of the job', (t) => {
  const parts = resize({ scales: f32([4], [1, 1, 1, 1]) }, LINEAR);
  t.deepEqual(
    opLines(
      imported({
        ...parts,
        nodes: [...parts.nodes.slice(0, -1), { ...parts.nodes.at(-1)!, outputs: ['r'] }, node('Relu', ['r'], 'y')],
      }),
    ),
    ['relu {} x'],
  );
});

const refused: [parts: GraphParts, expected: RegExp][] = [
  [resize({}, LINEAR), /scales or sizes \[computed\]; expected 4 positive constants/],
  [resize({ scales: f32([2], [2, 2]) }, LINEAR), /scales or sizes \[2,2\]; expected 4/],
  [resize({ scales: f32([4], [1, 1, -2, 2]) }, LINEAR), /expected 4 positive/],
  [
    resize({ scales: f32([4], [1, 2, 1, 1]) }, LINEAR),
    /makes \[1,2,2,2\] of shape \[1,1,2,2\]; expected changes of the last two axes/,
  ],
  [resize({ scales: f32([4], [2, 1, 1, 1]) }, LINEAR), /expected changes of the last two axes/],
  [
    resize({ scales: f32([4], [1, 1, 1e9, 1]) }, LINEAR),
    /makes an axis of 2000000000 of one of 2; expected a product of at most/,
  ],
  [resize(TWICE, { ...LINEAR, mode: 'cubic' }), /has mode cubic, .*expected nearest or linear/],
  [resize(TWICE, { ...LINEAR, antialias: 1 }), /no antialiasing/],
  [resize(TWICE, { ...LINEAR, keep_aspect_ratio_policy: 'not_larger' }), /policy not_larger/],
];
for (const [parts, expected] of refused) {
  test(`Resize is refused: ${expected}`, (t) => t.regex(problemsOf(parts).join('\n'), expected));
}
