/** Transposed convolutions written as convolutions, against ONNX Runtime's own. */
import test from 'ava';
import { inCudaForms } from '../../runtime/kernels/device/cuda-forms.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { distance } from '../support/op-checks.ts';
import type { PlainAttributes } from '../support/kernel-graphs.ts';
import { filled, nodeGraph, runGraph } from '../support/kernel-graphs.ts';

const CASES: readonly { does: string; attributes: PlainAttributes; extents: readonly number[] }[] = [
  {
    does: 'with strides, dilations and uneven pads',
    attributes: { strides: [2, 3], dilations: [2, 1], pads: [1, 0, 2, 1] },
    extents: [10, 11],
  },
  { does: 'that cuts off more than its kernel reaches', attributes: { pads: [3, 2, 2, 3] }, extents: [2, 1] },
  { does: 'with elements behind the last', attributes: { strides: [2, 2], output_padding: [1, 0] }, extents: [12, 9] },
];

for (const { does, attributes, extents } of CASES) {
  test(`a transposed convolution ${does}, with a bias, is a convolution`, async (t) => {
    const engine = createOnnxRuntimeEngine({ threads: 1 });
    const [x, weight, bias] = [filled([2, 4, 5, 4], 1), filled([4, 3, 3, 3], 2), filled([6], 3)];
    const graph = nodeGraph(
      { op: 'ConvTranspose', inputs: [x, weight, bias], attributes: { ...attributes, group: 2 } },
      [{ dtype: 'float32', shape: [2, 6, ...extents] }],
    );
    const inputs = { x0: x.data, x1: weight.data, x2: bias.data };
    const written = inCudaForms(graph);
    t.false(written.nodes.some(({ opType }) => opType === 'ConvTranspose'));
    const [own, other] = [await runGraph(engine, graph, inputs), await runGraph(engine, written, inputs)].map(
      ({ y0 }) => Array.from(y0!, Number),
    );
    t.true(distance(other!, own!) <= 1e-6);
    engine.close();
  });
}
