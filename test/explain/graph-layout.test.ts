import test from 'ava';
import { layOutGraph } from '../../cli/page/graph-layout.ts';
import { OP_BOX } from '../../cli/page/page-data.ts';
import { findBuiltin } from '../../soap/models/index.ts';

test('the picture of a graph, folded or not, holds every box and edge', (t) => {
  for (const name of ['lenet', 'alexnet', 'resnet50', 'inceptionv3', 'gpt']) {
    const { width, height, ops, edges } = layOutGraph(findBuiltin(name).build(8, {}));
    const corners = ops.flatMap(({ x, y }) =>
      [-1, 1].map((side) => [x + (side * OP_BOX.width) / 2, y + (side * OP_BOX.height) / 2] as const),
    );
    const outside = [...corners, ...edges.flat()].filter(([x, y]) => x < 0 || y < 0 || x > width || y > height);
    t.deepEqual(outside, [], name);
  }
});
