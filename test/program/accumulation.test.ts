import test from 'ava';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { devices } from '../support/train-in-memory.ts';
import { sgd } from '../support/sgd.ts';

const [BATCH, STEPS, FEATURES, CLASSES, IGNORED] = [24, 4, 6, 5, 2];
const [LEARNING_RATE, MOMENTUM, CLIP] = [0.5, 0.9, 0.2];

const optimizer = sgd({ learningRate: LEARNING_RATE, momentum: MOMENTUM, gradientClipNorm: CLIP });

/** Softmax regression: logits are x times the weights, and a bias. */
function trainingGraph(accumulationSteps: number) {
  const builder = new GraphBuilder();
  const x = builder.input('x', [BATCH / accumulationSteps, FEATURES]);
  const parameters = [builder.parameter('w', [FEATURES, CLASSES]), builder.parameter('b', [CLASSES])];
  const y = builder.op('linear', 'y', [x, ...parameters]);
  return attachLoss(builder.build('m', [y]), 'crossEntropy', { ignoreIndex: IGNORED }, accumulationSteps);
}

const initial = Float32Array.from({ length: CLASSES * FEATURES }, (_, i) => Math.sin(i + 1) / 4);
const weights = new Map([
  ['w', initial],
  ['b', new Float32Array(CLASSES)],
]);
const rowsOf = (step: number): number[] => Array.from({ length: BATCH }, (_, i) => step * BATCH + i);
const openData = () =>
  openDataset({ synthetic: { samples: STEPS * BATCH }, shuffle: false }, '.', trainingGraph(1).graph);

/** The whole batch at once in float64, by the formulas: the mean over the targets that count, clipping, then SGD with momentum. */
async function expectedLosses(): Promise<{ losses: number[]; clipped: number; counts: number[] }> {
  const dataset = await openData();
  const [w, b] = [Array.from(initial, Number), Array<number>(CLASSES).fill(0)];
  const velocity = Array<number>(CLASSES * FEATURES + CLASSES).fill(0);
  const losses: number[] = [];
  const counts: number[] = [];
  let clipped = 0;
  for (let step = 0; step < STEPS; step++) {
    const [x, targets] = [new Float32Array(BATCH * FEATURES), new BigInt64Array(BATCH)];
    await dataset.read('x', rowsOf(step), [[0, FEATURES]], x);
    await dataset.read('targets', rowsOf(step), [], targets);
    const gradient = velocity.map(() => 0);
    let [sum, count] = [0, 0];
    targets.forEach((target, row) => {
      if (Number(target) === IGNORED) return;
      count += 1;
      const values = x.subarray(row * FEATURES, (row + 1) * FEATURES);
      const logits = b.map((bias, c) => values.reduce((total, value, f) => total + value * w[f * CLASSES + c]!, bias));
      const total = logits.reduce((all, logit) => all + Math.exp(logit), 0);
      sum += Math.log(total) - logits[Number(target)]!;
      logits.forEach((logit, c) => {
        const error = Math.exp(logit) / total - (c === Number(target) ? 1 : 0);
        values.forEach((value, f) => (gradient[f * CLASSES + c]! += error * value));
        gradient[CLASSES * FEATURES + c]! += error;
      });
    });
    losses.push(sum / count);
    counts.push(count);
    const norm = Math.sqrt(gradient.reduce((all, value) => all + (value / count) ** 2, 0));
    if (norm > CLIP) clipped += 1;
    const scale = Math.min(1, CLIP / (norm + 1e-6)) / count;
    gradient.forEach((value, i) => {
      velocity[i] = MOMENTUM * velocity[i]! + scale * value;
      if (i < w.length) w[i]! -= LEARNING_RATE * velocity[i];
      else b[i - w.length]! -= LEARNING_RATE * velocity[i];
    });
  }
  await dataset.close();
  return { losses, clipped, counts };
}

const STRATEGIES: readonly [string, number, (graph: Graph, count: number) => Strategy][] = [
  ['one device', 1, singleDevice],
  ['data', 2, (graph, count) => dataParallel(graph, devices(count))],
  ['model', 2, (graph, count) => modelParallel(graph, devices(count))],
  ['random', 4, (graph, count) => randomStrategy(graph, devices(count), createRandom(7))],
];

for (const [engineName, createEngine] of [
  ['reference', createReferenceEngine],
  ['ONNX Runtime', () => createOnnxRuntimeEngine({ threads: 1 })],
] as const) {
  for (const accumulationSteps of [1, 2, 3, 6]) {
    test(`${accumulationSteps} micro-batches by ${engineName} are the mean over all targets that count, clipped once`, async (t) => {
      const { losses, clipped, counts } = await expectedLosses();
      t.true(clipped > 0 && counts.some((count) => count < BATCH), 'the case is worth a test');
      const training = trainingGraph(accumulationSteps);
      for (const [title, count, strategyOf] of STRATEGIES) {
        const engine = createEngine();
        const dataset = await openData();
        const strategy = strategyOf(training.graph, count);
        const run = new InMemoryRun({
          training,
          weights,
          strategy,
          cluster: devices(count),
          engine,
          optimizer,
          dataset,
        });
        for (const [step, expected] of losses.entries()) {
          const { lossSum, lossCount } = await run.train({ step, learningRate: LEARNING_RATE }, rowsOf(step));
          t.is(lossCount, counts[step]!);
          const error = Math.abs(lossSum / lossCount - expected) / expected;
          t.true(error <= 2e-6, `${title}, step ${step}: ${lossSum / lossCount} in place of ${expected}`);
        }
        run.release();
        engine.close();
        await dataset.close();
      }
    });
  }
}
