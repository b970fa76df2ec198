import test from 'ava';
import { simulateNaively } from '../../soap/simulator/naive.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import type { SampleOp } from '../support/task-graphs.ts';
import { sampleSplitGraph } from '../support/task-graphs.ts';

const [GPU1, GPU2, GPU3] = [0, 1, 2];

/**
 * Figure 4 of the paper: embedding, recurrent and linear layer, unrolled twice. Half a batch takes 2 on GPU1, 1 on GPU2, 1 on
 * a link; a whole one 3 on GPU3.
 */
function unrolledRnn(partsOfO3: number): SampleOp[] {
  const [embedding, recurrent] = [
    { parts: 2, device: GPU1, workUs: 4 },
    { parts: 2, device: GPU2, workUs: 2 },
  ];
  const linear = { parts: 1, device: GPU3, workUs: 3 };
  const [o1, o2, o3, o4] = [0, 1, 2, 3];
  return [
    { ...embedding, inputs: [] },
    { ...embedding, inputs: [] },
    { ...recurrent, parts: partsOfO3, inputs: [o1] },
    { ...recurrent, inputs: [o2, o3] },
    { ...linear, inputs: [o3] },
    { ...linear, inputs: [o4] },
  ];
}

const HALF_BATCH_TRANSFER_US = 1;

test("the paper's worked example takes 14", (t) => {
  const graph = sampleSplitGraph(unrolledRnn(2), 3, 2 * HALF_BATCH_TRANSFER_US);
  t.is(graph.tasks.length, 10 + 8, 'ten parts, and eight transfers');
  t.is(simulate(graph).makespanUs, 14);
  t.is(simulateNaively(graph).makespanUs, 14);
});

test("the paper's worked example takes 15 when o3 is one part", (t) => {
  const graph = sampleSplitGraph(unrolledRnn(1), 3, 2 * HALF_BATCH_TRANSFER_US);
  t.is(graph.tasks.length, 9 + 7);
  t.is(simulate(graph).makespanUs, 15);
  t.is(simulateNaively(graph).makespanUs, 15);
});
