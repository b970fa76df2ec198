/** What masks and the kernels that apply them take on one thread, nanoseconds an element, beside other elementwise kernels. */
import { HOST_BUFFERS } from '../runtime/kernels/host-memory.ts';
import type { BoundKernel } from '../runtime/kernels/kernels.ts';
import { createOnnxRuntimeEngine } from '../runtime/kernels/onnxruntime/engine.ts';
import { maskFiller, SCRATCH_BYTES, SLACK_BYTES } from '../runtime/masks/fill.ts';
import { dtypeCode } from '../soap/onnx/element-types.ts';
import { arithmetic } from '../soap/ops/arithmetic.ts';
import type { Value } from '../soap/ops/emitter.ts';
import { ALONE, Emitter, int } from '../soap/ops/emitter.ts';

const [ELEMENTS, ROUNDS, WARM_UPS] = [2 ** 22, 30, 5];
const SCALE = 1.25;

const value = (name: string): Value => ({ name, dtype: 'float32', shape: [ELEMENTS] });

/** Ways to write an elementwise kernel of x and y. */
const FORMS: Readonly<Record<string, (emit: Emitter, x: Value, y: () => Value) => Value>> = {
  'dropout: Mul of DequantizeLinear': (emit, x) => {
    const inputs = [emit.mask(), emit.scalar(SCALE)];
    return arithmetic(emit).mul(x, emit.node('DequantizeLinear', inputs, x.shape, {}, { dtype: 'float32' }));
  },
  'by Mul of Mul of Cast': (emit, x) => {
    const to = int(dtypeCode('float32'));
    const mask = emit.node('Cast', [emit.mask()], x.shape, { to }, { dtype: 'float32' });
    return arithmetic(emit).mul(arithmetic(emit).mul(x, mask), SCALE);
  },
  'by Where': (emit, x) => {
    const to = int(dtypeCode('bool'));
    const mask = emit.node('Cast', [emit.mask()], x.shape, { to }, { dtype: 'bool' });
    return arithmetic(emit).where(mask, arithmetic(emit).mul(x, SCALE), 0);
  },
  'Add of two tensors': (emit, x, y) => arithmetic(emit).add(x, y()),
  Relu: (emit, x) => arithmetic(emit).apply('Relu', x),
};

const engine = createOnnxRuntimeEngine({ threads: 1 });
const pages = Math.ceil((SCRATCH_BYTES + ELEMENTS + SLACK_BYTES) / 2 ** 16);
const memory = new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
const region = [[0, ELEMENTS]] as const;
const plan = { op: 0, threshold: 2 ** 32 / 5, shape: [ELEMENTS], region, period: ELEMENTS, address: SCRATCH_BYTES };
const fill = maskFiller({ memory, plans: [plan], seed: 1, accumulationSteps: 1 });
const made = new Uint8Array(memory.buffer, SCRATCH_BYTES, ELEMENTS);
const mask = HOST_BUFFERS.allocate('uint8', ELEMENTS);
const target = new Uint8Array(mask.host.buffer);

const kernels = Object.entries(FORMS).map(([name, form]) => [name, kernelOf(form)] as const);
const works: readonly (readonly [name: string, run: (round: number) => void])[] = [
  ['mask: Philox4x32-10', (round) => fill({ step: round, microBatch: 0 })],
  ['mask: copied to the kernels', () => target.set(made)],
  ...kernels.map(([name, kernel]) => [name, () => kernel.runHere!()] as const),
];

const times = works.map((): number[] => []);
for (let round = 0; round < WARM_UPS + ROUNDS; round++) {
  for (const [i, [, run]] of works.entries()) {
    const startMs = performance.now();
    run(round);
    if (round >= WARM_UPS) times[i]!.push(performance.now() - startMs);
  }
}
for (const [i, [name]] of works.entries()) {
  const sorted = times[i]!.toSorted((a, b) => a - b);
  const quarter = sorted[Math.floor(ROUNDS / 4)]!;
  console.log(`${name.padEnd(34)} ${((quarter * 1e6) / ELEMENTS).toFixed(2)} ns`);
}
engine.close();

function kernelOf(form: (typeof FORMS)[string]): BoundKernel {
  const [x, y, output0] = [value('input0'), value('input1'), value('output0')];
  const emit = new Emitter({ inputs: [x, y], outputs: [output0], saved: [], wantsGradInput: [], group: ALONE });
  emit.setOutput(
    0,
    form(emit, emit.input(0), () => emit.input(1)),
  );
  const graph = emit.build('form');
  const buffers = graph.inputs.map(({ name }) => [name, name === 'mask' ? mask : engine.allocate('float32', ELEMENTS)]);
  const output = engine.allocate('float32', ELEMENTS);
  return engine.compile(graph).bind({ ...Object.fromEntries(buffers), output0: output });
}
