import test from 'ava';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { importOnnx } from '../../soap/conversion/import.ts';
import type { OnnxGraph, OnnxTensor } from '../../soap/onnx/model.ts';
import { FileError } from '../../soap/schema/check.ts';
import type { NodeCase } from '../support/kernel-graphs.ts';
import { f32, filled, float, nodeGraph, runNode } from '../support/kernel-graphs.ts';
import { distance } from '../support/op-checks.ts';
import { runWhole } from '../support/op-splits.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

const TOLERANCE = 2e-6;

const reference = createReferenceEngine();
const onnxRuntime = createOnnxRuntimeEngine({ threads: 1 });
test.after.always(() => onnxRuntime.close());

/** A node that an op imports; the first input is the data, others are weights. */
interface ImportCase extends Omit<NodeCase, 'inputs'> {
  readonly inputs: readonly OnnxTensor[];
  readonly kind: string;
  readonly gives: readonly number[];
  /** Where it is not that of the kernels. */
  readonly opset?: number;
  /** Attributes for ONNX Runtime alone. */
  readonly only?: NodeCase['attributes'];
}

const positive = ({ shape, data }: OnnxTensor): OnnxTensor =>
  f32(
    shape,
    Array.from(data, Number).map((x) => x * x + 0.5),
  );
const image = (height: number, width: number): OnnxTensor => filled([2, 4, height, width]);
const kernel = (...shape: number[]): OnnxTensor => filled(shape, 2);
const vector = (size: number, seed: number): OnnxTensor => filled([size], seed);

const CASES: readonly ImportCase[] = [
  ...(['SAME_UPPER', 'SAME_LOWER', 'VALID'] as const).map((auto_pad): ImportCase => {
    const extents = auto_pad === 'VALID' ? [3, 2] : [4, 3];
    return {
      op: 'Conv',
      kind: 'conv2d',
      attributes: { auto_pad, strides: [2, 3] },
      inputs: [image(7, 8), kernel(6, 4, 3, 4)],
      gives: [2, 6, ...extents],
    };
  }),
  {
    op: 'Conv',
    kind: 'conv2d',
    attributes: { group: 2, dilations: [2], pads: [1, 2] },
    inputs: [filled([2, 4, 9]), kernel(6, 2, 3), vector(6, 3)],
    gives: [2, 6, 8],
  },
  {
    op: 'ConvTranspose',
    kind: 'convTranspose2d',
    attributes: { strides: [2, 2], pads: [1, 1, 1, 1], output_padding: [1, 1] },
    inputs: [image(3, 4), kernel(4, 2, 3, 3), vector(2, 3)],
    gives: [2, 2, 6, 8],
  },
  {
    op: 'ConvTranspose',
    kind: 'convTranspose2d',
    attributes: { strides: [3, 2], output_shape: [10, 9], group: 2 },
    inputs: [image(3, 4), kernel(4, 3, 3, 4)],
    gives: [2, 6, 10, 9],
  },
  {
    op: 'ConvTranspose',
    kind: 'convTranspose2d',
    attributes: { strides: [3, 2], output_shape: [9, 9], output_padding: [1, 0] },
    inputs: [image(3, 4), kernel(4, 3, 3, 4)],
    gives: [2, 3, 9, 9],
  },
  ...(['SAME_UPPER', 'SAME_LOWER', 'VALID'] as const).flatMap((auto_pad) =>
    [0, 1].map((output_padding): ImportCase => {
      const extents = auto_pad === 'VALID' ? [8 + output_padding, 10] : [6, 8];
      return {
        op: 'ConvTranspose',
        kind: 'convTranspose2d',
        attributes: { auto_pad, strides: [2, 2], output_padding: [output_padding, 0] },
        inputs: [image(3, 4), kernel(4, 2, 4, 4)],
        gives: [2, 2, ...extents],
      };
    }),
  ),
  {
    op: 'MaxPool',
    kind: 'maxPool2d',
    attributes: { kernel_shape: [3, 2], strides: [2, 2], pads: [1, 0, 0, 1], ceil_mode: 1 },
    inputs: [image(8, 6)],
    gives: [2, 4, 4, 3],
  },
  {
    op: 'MaxPool',
    kind: 'maxPool2d',
    attributes: { kernel_shape: [2], strides: [3], ceil_mode: 1, auto_pad: 'VALID' },
    inputs: [filled([2, 4, 9])],
    gives: [2, 4, 3],
  },
  ...[0, 1].flatMap((count_include_pad) =>
    (
      [
        [{ strides: [2, 2], pads: [1, 1, 1, 0], ceil_mode: 1 }, 7, 8, [4, 4]],
        [{ strides: [2, 3], pads: [0, 2, 1, 2], ceil_mode: 1 }, 8, 9, [4, 4]],
        [{ strides: [2, 2], auto_pad: 'SAME_UPPER' }, 8, 7, [4, 4]],
        [{ strides: [2, 2], auto_pad: 'SAME_LOWER' }, 8, 7, [4, 4]],
        [{ pads: [1, 1, 1, 1] }, 5, 5, [5, 5]],
        [{}, 3, 3, [1, 1]],
      ] as const
    ).map(([attributes, height, width, extents]): ImportCase => ({
      op: 'AveragePool',
      kind: 'avgPool2d',
      attributes: { kernel_shape: [3, 3], count_include_pad, ...attributes },
      inputs: [image(height, width)],
      gives: [2, 4, ...extents],
    })),
  ),
  {
    op: 'AveragePool',
    kind: 'avgPool2d',
    attributes: { kernel_shape: [2], dilations: [3], pads: [1, 1] },
    opset: 19,
    inputs: [filled([2, 4, 9])],
    gives: [2, 4, 8],
  },
  { op: 'GlobalMaxPool', kind: 'maxPool2d', inputs: [image(3, 5)], gives: [2, 4, 1, 1] },
  { op: 'GlobalAveragePool', kind: 'globalAveragePool', inputs: [image(3, 5)], gives: [2, 4, 1, 1] },
  {
    op: 'BatchNormalization',
    kind: 'batchNorm',
    attributes: { epsilon: float(0.01) },
    only: { training_mode: 1 },
    inputs: [image(3, 5), vector(4, 2), vector(4, 3), vector(4, 4), positive(vector(4, 5))],
    gives: [2, 4, 3, 5],
  },
  {
    op: 'InstanceNormalization',
    kind: 'instanceNorm',
    inputs: [filled([2, 4, 9]), vector(4, 2), vector(4, 3)],
    gives: [2, 4, 9],
  },
  {
    op: 'GroupNormalization',
    kind: 'groupNorm',
    attributes: { num_groups: 2, epsilon: float(0.1) },
    opset: 21,
    inputs: [image(3, 5), vector(4, 2), vector(4, 3)],
    gives: [2, 4, 3, 5],
  },
  { op: 'LRN', kind: 'lrn', attributes: { size: 3, alpha: float(0.5) }, inputs: [image(2, 3)], gives: [2, 4, 2, 3] },
  {
    op: 'Concat',
    kind: 'concat',
    attributes: { axis: -2 },
    inputs: [image(2, 3), filled([2, 4, 1, 3], 2)],
    gives: [2, 4, 3, 3],
  },
  { op: 'Sum', kind: 'sum', inputs: [image(2, 3), filled([2, 4, 2, 3], 2)], gives: [2, 4, 2, 3] },
];

for (const [index, each] of CASES.entries()) {
  const { op, attributes = {}, kind, gives, inputs, only = {} } = each;
  test(`${index} ${op} ${JSON.stringify(attributes)} imports as ${kind} and gives what ONNX Runtime does`, async (t) => {
    const { graph } = importOnnx(imported(each), { batch: 2 });
    t.deepEqual(
      graph.ops.map((found) => found.kind),
      [kind],
    );
    t.deepEqual(graph.tensors[graph.outputs[0]!]!.shape, gives);
    const first = graph.ops[0]!;
    const values = first.inputs.map((_, i) => Array.from(inputs[i]!.data, Number));
    const built = { graph, op: first, inputs: values, wants: values.map(() => false), gradOutputs: [zeros(gives)] };
    const { outputs } = await runWhole(built, { engine: reference });
    const attached = { ...each, attributes: { ...attributes, ...only } };
    const results = [{ dtype: 'float32', shape: gives } as const, ...moments(each)];
    const [expected] = await runNode(onnxRuntime, attached, results, each.opset);
    t.true(distance(outputs[0]!, Array.from(expected!, Number)) <= TOLERANCE);
  });
}

/** BatchNormalization in training mode must return its running moments. */
function moments({ op }: ImportCase): { readonly dtype: 'float32'; readonly shape: readonly number[] }[] {
  return op === 'BatchNormalization' ? [0, 1].map(() => ({ dtype: 'float32', shape: [4] })) : [];
}

function zeros(shape: readonly number[]): number[] {
  return Array.from({ length: elementCount(shape) }, () => 0);
}

/** A model of one node, its weights inside; further data inputs of joins are weights, too. */
function imported({ inputs, gives, ...each }: Omit<ImportCase, 'kind'>): OnnxGraph {
  const constant = inputs.map((_, i) => i).slice(1);
  return nodeGraph({ ...each, inputs, constant }, [{ dtype: 'float32', shape: gives }], each.opset);
}

const REFUSED: readonly [Omit<ImportCase, 'kind' | 'gives'>, RegExp][] = [
  [
    { op: 'Conv', attributes: { auto_pad: 'SAME' }, inputs: [image(4, 4), kernel(2, 4, 3, 3)] },
    /auto_pad SAME; expected/,
  ],
  [{ op: 'Conv', attributes: { pads: [1, 1] }, inputs: [image(4, 4), kernel(2, 4, 3, 3)] }, /pads \[1,1\]; expected 4/],
  [{ op: 'Conv', attributes: { strides: [0, 1] }, inputs: [image(4, 4), kernel(2, 4, 3, 3)] }, /strides \[0,1\]/],
  [{ op: 'Conv', inputs: [filled([2, 4]), kernel(2, 4)] }, /shape \[2,4\]; expected \[N, C, \.\.\.\]/],
  [{ op: 'Conv', inputs: [image(4, 4), kernel(2, 3, 3, 3)] }, /4 channels; its weight expects 3/],
  [{ op: 'Conv', inputs: [image(2, 2), kernel(2, 4, 3, 3)] }, /does not fit/],
  [{ op: 'ConvTranspose', inputs: [image(4, 4), kernel(3, 4, 3, 3)] }, /4 input channels.*expects 3/],
  [
    { op: 'ConvTranspose', attributes: { output_padding: [1, 0] }, inputs: [image(4, 4), kernel(4, 2, 3, 3)] },
    /output_padding \[1,0\]; expected less than 1/,
  ],
  [
    { op: 'ConvTranspose', attributes: { pads: [9, 0, 9, 0] }, inputs: [image(4, 4), kernel(4, 2, 3, 3)] },
    /leave nothing/,
  ],
  [{ op: 'ConvTranspose', inputs: [image(4, 4), kernel(4, 2, 3, 3), vector(4, 1)] }, /bias of 4.*gives 2/],
  [{ op: 'MaxPool', attributes: { kernel_shape: [2, 2], pads: [2, 0, 0, 0] }, inputs: [image(4, 4)] }, /padding of 2/],
  [{ op: 'AveragePool', attributes: { kernel_shape: [2] }, inputs: [image(4, 4)] }, /kernel_shape \[2\]; expected 2/],
  [{ op: 'GlobalAveragePool', inputs: [filled([2, 4])] }, /shape \[2,4\]/],
  [
    { op: 'BatchNormalization', inputs: [image(2, 2), vector(3, 1), vector(4, 1), vector(4, 1), vector(4, 1)] },
    /shape \[3\]; its input has 4 channels/,
  ],
  [
    {
      op: 'GroupNormalization',
      attributes: { num_groups: 2 },
      opset: 18,
      inputs: [image(2, 2), vector(2, 1), vector(2, 1)],
    },
    /2 scales; expected one for each of its 4 channels/,
  ],
  [
    { op: 'GroupNormalization', attributes: { num_groups: 3 }, inputs: [image(2, 2), vector(4, 1), vector(4, 1)] },
    /3 groups; expected a divisor of its 4 channels/,
  ],
  [{ op: 'LRN', inputs: [image(2, 2)] }, /LRN has no size/],
  [{ op: 'LRN', attributes: { size: 0 }, inputs: [image(2, 2)] }, /size 0; expected a number of channels from 1/],
  [{ op: 'LRN', attributes: { size: 3 }, inputs: [filled([2, 4, 3])] }, /expected \[N, C, H, W\]/],
  [{ op: 'Concat', attributes: { axis: 4 }, inputs: [image(2, 2), image(2, 2)] }, /axis 4/],
  [{ op: 'Concat', attributes: { axis: 1 }, inputs: [image(2, 2), image(2, 3)] }, /differ along axis 1 only/],
  [{ op: 'Sum', inputs: [image(2, 2), vector(2, 1)] }, /expected one shape/],
];

for (const [each, message] of REFUSED) {
  test(`${each.op} is refused with ${message.source}`, (t) => {
    const error = t.throws(() => importOnnx(imported({ ...each, gives: [2, 4, 1, 1] }), { batch: 2 }), {
      instanceOf: FileError,
    });
    t.regex(error.message, message);
  });
}
