/**
 * Scatters that add, in the forms that GPUs compute: the same bits whatever the order of the updates, which is what threads change.
 */
import test from 'ava';
import * as fc from 'fast-check';
import { inCudaForms } from '../../runtime/kernels/device/cuda-forms.ts';
import { DEVICE_PROVIDERS, gpuOf } from '../../runtime/kernels/device/providers.ts';
import { inWebGpuForms } from '../../runtime/kernels/device/webgpu-forms.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import type { OnnxGraph } from '../../soap/onnx/model.ts';
import { createRandom } from '../../soap/random.ts';
import { f32, filled, i64, nodeGraph, runGraph } from '../support/kernel-graphs.ts';

const [ROWS, WIDTH] = [3, 2];
/** Of the sum of what is added, beside the largest update: float32 has 2^-24. */
const TOLERANCE = 2 ** -22;

/** Updates of rows, of very different sizes, and an order of them. */
const updates = fc
  .record({ count: fc.integer({ min: 2, max: 300 }), seed: fc.nat(), exponents: fc.integer({ min: 0, max: 12 }) })
  .map(({ count, seed, exponents }) => {
    const random = createRandom(seed);
    const rows = Array.from({ length: count }, () => random.integer(ROWS));
    const values = rows.map(() =>
      Array.from({ length: WIDTH }, () => Math.fround(random.normal() * 2 ** -random.integer(exponents + 1))),
    );
    const order = rows.map((_, i) => i).toSorted((a, b) => rows[a]! - rows[b]! || values[b]![0]! - values[a]![0]!);
    return { rows, values, order };
  });

function scatter(op: string, rows: readonly number[], values: readonly (readonly number[])[]): OnnxGraph {
  const isNd = op === 'ScatterND';
  const indices = isNd
    ? i64([rows.length, 1], rows)
    : i64(
        [rows.length, WIDTH],
        rows.flatMap((row) => [row, row]),
      );
  const inputs = [filled([ROWS, WIDTH]), indices, f32([rows.length, WIDTH], values.flat())];
  const attributes = isNd ? { reduction: 'add' } : { reduction: 'add', axis: 0 };
  return nodeGraph({ op, inputs, attributes }, [{ dtype: 'float32', shape: [ROWS, WIDTH] }], 18);
}

for (const [provider, forms] of [
  ['CUDA', inCudaForms],
  ['WebGPU', inWebGpuForms],
] as const) {
  for (const op of ['ScatterND', 'ScatterElements']) {
    test(`${op} in the form for ${provider} adds to the same bits in any order, and to the sum`, async (t) => {
      const engine = createOnnxRuntimeEngine({ threads: 1 });
      const run = async (rows: readonly number[], values: readonly (readonly number[])[]): Promise<number[]> => {
        const graph = scatter(op, rows, values);
        const indices = op === 'ScatterND' ? rows : rows.flatMap((row) => [row, row]);
        const { data } = filled([ROWS, WIDTH]);
        const { y0 } = await runGraph(engine, forms(graph), { x0: data, x1: indices, x2: values.flat() });
        return Array.from(y0!, Number);
      };
      const property = fc.asyncProperty(updates, async ({ rows, values, order }) => {
        const first = await run(rows, values);
        const other = await run(
          order.map((i) => rows[i]!),
          order.map((i) => values[i]!),
        );
        t.deepEqual(other, first);
        const exact = Array.from(filled([ROWS, WIDTH]).data, Number);
        values.forEach((value, i) => value.forEach((each, k) => (exact[rows[i]! * WIDTH + k]! += each)));
        const largest = Math.max(...values.flat().map(Math.abs));
        exact.forEach((sum, i) =>
          t.true(Math.abs(first[i]! - sum) <= TOLERANCE * (largest + Math.abs(sum)), `${first[i]} for ${sum}`),
        );
      });
      await fc.assert(property, { numRuns: 30 });
      engine.close();
    });
  }
}

test('devices take GPUs that are told apart in turn, and share the one that is not', (t) => {
  const two = { ...DEVICE_PROVIDERS.cuda, gpus: () => 2 };
  t.deepEqual(
    [0, 1, 2, 3].map((device) => gpuOf(two, device)),
    [0, 1, 0, 1],
  );
  t.is(gpuOf({ ...two, gpus: () => 0 }, 3), 0);
  t.is(gpuOf(DEVICE_PROVIDERS.webgpu, 3), 0);
});
