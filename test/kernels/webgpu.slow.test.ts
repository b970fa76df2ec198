import { createDeviceEngine } from '../../runtime/kernels/device/engine.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { HAS_SOFTWARE_GPU, onSoftwareGpu } from '../support/software-gpu.ts';
import { kernelContract } from './contract.ts';
import type { NodeCase } from '../support/kernel-graphs.ts';
import { f32, filled, i64, nodeGraph, runGraph } from '../support/kernel-graphs.ts';

/** What the provider has no node for, and no op of the project emits as a kernel. */
const LACKS = [
  'Div keeps float64',
  'LRN divides by neighbouring channels',
  'OneHot marks the class, and nothing for a stranger',
  'OneHot puts the classes first where asked',
];

const create = (): KernelEngine => createDeviceEngine('webgpu', { gpu: 0 });

if (HAS_SOFTWARE_GPU) kernelContract(create, { lacks: LACKS, checksIndices: false });

const [ROWS, UPDATES, WIDTH, RUNS] = [4, 8192, 8, 20];
const rowOf = Array.from({ length: UPDATES }, (_, i) => i % ROWS);
const SCATTERS: readonly NodeCase[] = [
  {
    op: 'ScatterND',
    inputs: [filled([ROWS, WIDTH], 3), i64([UPDATES, 1], rowOf), filled([UPDATES, WIDTH])],
    attributes: { reduction: 'add' },
  },
  {
    op: 'ScatterElements',
    inputs: [filled([ROWS, 1], 3), i64([UPDATES, 1], rowOf), filled([UPDATES, 1])],
    attributes: { reduction: 'add', axis: 0 },
  },
];

for (const each of SCATTERS) {
  onSoftwareGpu(`${each.op} adds ${UPDATES} updates to ${ROWS} rows with the same bits each time`, async (t) => {
    const engine = create();
    const [data, , updates] = each.inputs.map((tensor) => tensor!);
    const graph = nodeGraph(each, [data!], 18);
    const inputs = Object.fromEntries(each.inputs.map((tensor, i) => [`x${i}`, tensor!.data]));
    const { y0: first } = await runGraph(engine, graph, inputs);
    for (let run = 1; run < RUNS; run++) t.deepEqual((await runGraph(engine, graph, inputs))['y0'], first);
    const width = data!.shape[1]!;
    const exact = Array.from(data!.data, Number);
    updates!.data.forEach((value, i) => (exact[rowOf[Math.floor(i / width)]! * width + (i % width)]! += Number(value)));
    // Sums of thousands of terms of either sign: the last bits of the largest are all that is lost.
    exact.forEach((value, i) => t.true(Math.abs(Number(first![i]) - value) <= 1e-5));
    engine.close();
  });
}

onSoftwareGpu('updates of a scatter that are all 0 change nothing', async (t) => {
  const engine = create();
  const zeros = f32([3, 1], [0, 0, 0]);
  const inputs = [f32([2, 1], [1, -2]), i64([3, 1], [0, 1, 0]), zeros];
  const graph = nodeGraph({ op: 'ScatterND', inputs, attributes: { reduction: 'add' } }, [inputs[0]!], 18);
  const { y0 } = await runGraph(engine, graph, { x0: [1, -2], x1: [0, 1, 0], x2: [0, 0, 0] });
  t.deepEqual(y0, Float32Array.of(1, -2));
  engine.close();
});

onSoftwareGpu(
  'a grouped ConvTranspose of one output channel each is right, which the provider alone is not',
  async (t) => {
    const engine = create();
    // Two groups of two channels; a kernel of one tap sums the channels of its group.
    const inputs = [f32([1, 4, 1, 2], [1, 2, 3, 4, 5, 6, 7, 8]), f32([4, 1, 1, 1], [1, 1, 1, 1])];
    const graph = nodeGraph({ op: 'ConvTranspose', inputs, attributes: { group: 2 } }, [
      { dtype: 'float32', shape: [1, 2, 1, 2] },
    ]);
    const { y0 } = await runGraph(engine, graph, { x0: inputs[0]!.data, x1: inputs[1]!.data });
    t.deepEqual(y0, Float32Array.of(4, 6, 12, 14));
    engine.close();
  },
);
