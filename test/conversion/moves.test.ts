/** Rewritten moves of elements, against the moves as they are written. */
import test from 'ava';
import * as fc from 'fast-check';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { importOnnx, importUnfused } from '../../soap/conversion/import.ts';
import type { Model } from '../../soap/graph/graph.ts';
import type { OnnxNode } from '../../soap/onnx/model.ts';
import { filled, list } from '../support/kernel-graphs.ts';
import { constant, graphOf, node } from '../support/onnx-graphs.ts';
import { runWholeGraph } from '../support/whole-graph.ts';

const X = [2, 4, 6];

/** Shapes of as many elements: with samples first or not, with heads, with rows of both. */
const SHAPES = [
  [2, 4, 6],
  [4, 2, 6],
  [8, 6],
  [2, 24],
  [2, 4, 2, 3],
  [4, 2, 2, 3],
  [4, 4, 3],
  [2, 2, 4, 3],
  [2, 1, 4, 6],
  [1, 8, 6],
] as const;

/** A reshape, a transposition by the order of some numbers, or an op that looks at each element. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ to: fc.constantFrom(...SHAPES) }) },
  { weight: 4, arbitrary: fc.record({ keys: fc.array(fc.double({ noNaN: true }), { minLength: 4, maxLength: 4 }) }) },
  { weight: 1, arbitrary: fc.constant({ each: 'Relu' } as const) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

function nodesOf(steps: readonly Step[]): OnnxNode[] {
  let [rank, value] = [X.length, 'x'];
  const nodes = steps.flatMap((each, i): OnnxNode[] => {
    const [before, after] = [value, `v${i}`];
    value = after;
    if ('each' in each) return [node(each.each, [before], after)];
    if ('to' in each) {
      rank = each.to.length;
      return [constant(`shape${i}`, list(...each.to)), node('Reshape', [before, `shape${i}`], after)];
    }
    const keys = each.keys.slice(0, rank);
    const perm = [...keys.keys()].toSorted((a, b) => keys[a]! - keys[b]!);
    return [node('Transpose', [before], after, { perm })];
  });
  return [...nodes, node('Abs', [value], 'y')];
}

test('moves in any order come to an end, and give the same elements', async (t) => {
  const engine = createReferenceEngine();
  const x = filled(X, 7).data;
  const result = async (model: Model): Promise<number[]> => {
    const { tensors } = await runWholeGraph(model, { x }, engine);
    return Array.from(tensors[model.graph.outputs[0]!]!, Number);
  };
  const property = fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 8 }), async (steps) => {
    const onnx = graphOf({ inputs: { x: X }, nodes: nodesOf(steps) });
    t.deepEqual(await result(importOnnx(onnx, { batch: 2 })), await result(importUnfused(onnx, { batch: 2 })));
  });
  await fc.assert(property, { numRuns: 300 });
  engine.close();
});
