/** Convolutions by large kernels written as matrix products, against ONNX Runtime's own. */
import test from 'ava';
import { writeLargeKernelConvolution } from '../../runtime/kernels/device/large-kernel-form.ts';
import type { Rewrite } from '../../runtime/kernels/device/rewriter.ts';
import { Rewriter } from '../../runtime/kernels/device/rewriter.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { distance } from '../support/op-checks.ts';
import type { PlainAttributes } from '../support/kernel-graphs.ts';
import { filled, nodeGraph, runGraph } from '../support/kernel-graphs.ts';

interface Case {
  readonly does: string;
  readonly image: readonly number[];
  readonly kernel: readonly number[];
  readonly attributes: PlainAttributes;
  readonly result: readonly number[];
}

const CASES: readonly Case[] = [
  {
    does: 'in groups, with strides, dilations and uneven pads',
    image: [3, 4, 40, 41],
    kernel: [6, 2, 17, 18],
    attributes: { group: 2, strides: [2, 1], dilations: [2, 2], pads: [1, 0, 2, 3] },
    result: [3, 6, 6, 10],
  },
  {
    does: 'with nothing around the image',
    image: [2, 3, 20, 20],
    kernel: [4, 3, 18, 18],
    attributes: {},
    result: [2, 4, 3, 3],
  },
  {
    does: 'that is of one channel, and small',
    image: [1, 6, 7, 8],
    kernel: [6, 1, 5, 6],
    attributes: { group: 6 },
    result: [1, 6, 3, 3],
  },
  {
    does: 'over one axis',
    image: [2, 3, 310],
    kernel: [4, 3, 300],
    attributes: { pads: [1, 1] },
    result: [2, 4, 13],
  },
];

for (const { does, image, kernel, attributes, result } of CASES) {
  for (const mostBytes of [1, 2 ** 16, 2 ** 26]) {
    test(`a convolution by a large kernel ${does} is products of at most ${mostBytes} bytes`, async (t) => {
      const engine = createOnnxRuntimeEngine({ threads: 1 });
      const [x, weight] = [filled([...image], 1), filled([...kernel], 2)];
      const shape = [...result];
      const graph = nodeGraph({ op: 'Conv', inputs: [x, weight], attributes }, [{ dtype: 'float32', shape }]);
      const rewrite: Rewrite = (node, to) => writeLargeKernelConvolution(node, to, mostBytes);
      const written = new Rewriter(graph).apply(new Map([[':Conv', rewrite]]));
      t.false(written.nodes.some(({ opType }) => opType === 'Conv'));
      const inputs = { x0: x.data, x1: weight.data };
      const [own, other] = [await runGraph(engine, graph, inputs), await runGraph(engine, written, inputs)].map(
        ({ y0 }) => Array.from(y0!, Number),
      );
      t.true(distance(other!, own!) <= 1e-6);
      engine.close();
    });
  }
}

test('a convolution by a kernel no larger than its result stays as it is', (t) => {
  const [x, weight] = [filled([1, 1, 40, 40], 1), filled([1, 1, 16, 16], 2)];
  const graph = nodeGraph({ op: 'Conv', inputs: [x, weight] }, [{ dtype: 'float32', shape: [1, 1, 25, 25] }]);
  t.deepEqual(new Rewriter(graph).apply(new Map([[':Conv', writeLargeKernelConvolution]])).nodes, graph.nodes);
});
