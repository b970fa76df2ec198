import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OnnxNode } from '../../soap/onnx/model.ts';
import { f32, i64, list } from '../support/kernel-graphs.ts';
import { constant, imported, node, opLines, problemsOf } from '../support/onnx-graphs.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

const engines = [createReferenceEngine(), createOnnxRuntimeEngine({ threads: 1 })];
test.after.always(() => {
  for (const engine of engines) engine.close();
});

/** Weights of experts as routers make them: zeros but for the two largest of a row. */
const ROUTER: readonly OnnxNode[] = [
  constant('two', list(2)),
  node('TopK', ['x', 'two'], ['largest', 'places'], { axis: -1 }),
  node('Shape', ['x'], 'shape'),
  node('ConstantOfShape', ['shape'], 'zeros'),
  node('ScatterElements', ['zeros', 'places', 'largest'], 'y', { axis: -1 }),
];

test('a router keeps the two largest of each row, and hands back the gradients of these', async (t) => {
  const model = imported({ inputs: { x: [2, 4] }, nodes: ROUTER });
  for (const engine of engines) {
    const { tensors, backward } = await runWholeGraph(model, { x: [1, 4, 2, 3, 8, 5, 6, 7] }, engine);
    t.deepEqual([...tensors[model.graph.outputs[0]!]!], [0, 4, 0, 3, 8, 0, 0, 7], engine.name);
    const gradients = await backward([1, 2, 3, 4, 5, 6, 7, 8]);
    t.deepEqual([...gradients[model.graph.inputs[0]!]!], [0, 2, 0, 4, 5, 0, 0, 8], engine.name);
  }
});

test('an element is picked for each constant index, negative ones from the end, and those of a repeated one add up', async (t) => {
  const picks = [
    constant('indices', i64([2, 3], [0, 0, -1, 2, 1, 1])),
    node('GatherElements', ['x', 'indices'], 'y', { axis: 1 }),
  ];
  const model = imported({ inputs: { x: [2, 4] }, nodes: picks });
  for (const engine of engines) {
    const { tensors, backward } = await runWholeGraph(model, { x: [1, 2, 3, 4, 5, 6, 7, 8] }, engine);
    t.deepEqual([...tensors[model.graph.outputs[0]!]!], [1, 1, 4, 7, 6, 6], engine.name);
    const gradients = await backward([1, 2, 3, 4, 5, 6]);
    t.deepEqual([...gradients[model.graph.inputs[0]!]!], [3, 0, 0, 3, 0, 11, 4, 0], engine.name);
  }
});

test('the number of elements may be an attribute, as files before operator set 10 have it', (t) => {
  const nodes = [node('TopK', ['x'], ['y', 'places'], { k: 3 })];
  t.deepEqual(opLines(imported({ inputs: { x: [2, 4] }, nodes, opset: 9 })), [
    'topK {"axis":1,"k":3,"largest":true} x',
  ]);
});

/** Three elements of each row of x, put elsewhere in it. */
const PUT: readonly OnnxNode[] = [
  constant('start', list(0)),
  constant('three', list(3)),
  constant('axis', list(1)),
  node('Slice', ['x', 'start', 'three', 'axis'], 'updates'),
  node('ScatterElements', ['x', 'repeated', 'updates'], 'y', { axis: 1 }),
];

test('updates of elements that are each named once are put, and known ones of some that are named twice', (t) => {
  const once = [constant('repeated', i64([2, 3], [0, 1, 2, 0, 1, -1])), ...PUT];
  t.deepEqual(opLines(imported({ inputs: { x: [2, 4] }, nodes: once })).length, 3);
  const known = [
    constant('twice', i64([2, 2], [0, 0, 1, 2])),
    constant('ones', f32([2, 2], [1, 1, 1, 1])),
    node('ScatterElements', ['x', 'twice', 'ones'], 'y', { axis: 1 }),
  ];
  t.deepEqual(imported({ inputs: { x: [2, 4] }, nodes: known }).graph.ops.at(-1)!.kind, 'scatterElements');
});

test('what cannot be picked or put is a sentence', (t) => {
  const whole = node('Cast', ['x'], 'w', { to: 7 });
  const cases: readonly (readonly [readonly OnnxNode[], RegExp])[] = [
    [
      [constant('k', list(5)), node('TopK', ['x', 'k'], ['y', 'i'])],
      /TopK takes 5 of axis 1 of \[2,4\]; expected 1 to 4/,
    ],
    [[whole, constant('k', list(1)), node('TopK', ['w', 'k'], ['v', 'y'])], /TopK takes int64; expected float32/],
    [[whole, node('TopK', ['x', 'w'], ['y', 'i'])], /TopK takes a computed k; expected a constant/],
    [
      [whole, node('ScatterElements', ['x', 'w', 'x'], 'y', { axis: 1, reduction: 'max' })],
      /ScatterElements has reduction 'max'; expected none or add/,
    ],
    [
      [constant('repeated', i64([2, 3], [0, 1, 2, 3, 1, -1])), ...PUT],
      /several updates for one element, of which only the last would count; expected one, or reduction add/,
    ],
  ];
  for (const [nodes, message] of cases) t.regex(problemsOf({ inputs: { x: [2, 4] }, nodes }).join('\n'), message);
});
