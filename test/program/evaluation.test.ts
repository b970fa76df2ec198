import test from 'ava';
import { openDataset } from '../../runtime/data/open-dataset.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { partialResult } from '../../runtime/program/evaluation.ts';
import { InMemoryRun } from '../../runtime/program/in-memory.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { LossName, LossOptions } from '../../soap/training/loss.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { createRandom } from '../../soap/random.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { devices } from '../support/train-in-memory.ts';
import { sgd } from '../support/sgd.ts';

const [ROWS, STEPS, CLASSES] = [8, 3, 4];

interface Seen {
  readonly lossSum: number;
  readonly lossCount: number;
  readonly correct: number;
}

/** What all devices together see of the first `validRows` rows of a batch, whose logits are the data itself. */
async function seen(
  loss: LossName,
  options: LossOptions,
  validRows: number,
  strategyOf: (graph: Parameters<typeof singleDevice>[0]) => Strategy,
): Promise<Seen> {
  const builder = new GraphBuilder();
  const x = builder.input('x', [ROWS, STEPS, CLASSES]);
  const scaled = builder.op('mul', 'scaled', [x, builder.parameter('one', [1])]);
  const training = attachLoss(builder.build('m', [scaled]), loss, options);
  const dataset = await openDataset({ synthetic: { samples: ROWS }, shuffle: false }, '.', training.graph);
  const run = new InMemoryRun({
    training,
    weights: new Map([['one', Float32Array.of(1)]]),
    strategy: strategyOf(training.graph),
    cluster: devices(4),
    engine: createReferenceEngine(),
    optimizer: sgd({ learningRate: 0 }),
    dataset,
  });
  await run.train(
    { step: 0, learningRate: 0 },
    Array.from({ length: ROWS }, (_, row) => row),
  );
  const parts = run.programs.map((program) => partialResult(training, program, validRows));
  run.release();
  const sum = (of: (part: Seen) => number): number => parts.reduce((total, part) => total + of(part), 0);
  return {
    lossSum: sum(({ lossSum }) => lossSum),
    lossCount: sum(({ lossCount }) => lossCount),
    correct: sum(({ correct }) => correct),
  };
}

/** The same of crossEntropy by its formulas, from the data alone. */
async function expected(options: LossOptions, validRows: number): Promise<Seen> {
  const builder = new GraphBuilder();
  const graph = builder.build('m', [builder.op('relu', 'r', [builder.input('x', [ROWS, STEPS, CLASSES])])]);
  const dataset = await openDataset(
    { synthetic: { samples: ROWS }, shuffle: false },
    '.',
    attachLoss(graph, 'crossEntropy', options).graph,
  );
  // Logits of a row are [steps, classes], or [classes, steps] where the classes are axis 1.
  const isLast = options.classAxis !== 1;
  const [steps, classes] = isLast ? [STEPS, CLASSES] : [CLASSES, STEPS];
  const [logits, targets] = [new Float32Array(steps * classes), new BigInt64Array(steps)];
  const total = { lossSum: 0, lossCount: 0, correct: 0 };
  for (let row = 0; row < validRows; row++) {
    await dataset.read(
      'x',
      [row],
      [
        [0, STEPS],
        [0, CLASSES],
      ],
      logits,
    );
    await dataset.read('targets', [row], [[0, steps]], targets);
    targets.forEach((label, step) => {
      if (Number(label) === options.ignoreIndex) return;
      const at = (label: number): number => logits[isLast ? step * classes + label : label * steps + step]!;
      const own = Array.from({ length: classes }, (_, each) => at(each));
      const sum = own.reduce((a, logit) => a + Math.exp(logit), 0);
      total.lossSum += Math.log(sum) - own[Number(label)]!;
      total.lossCount += 1;
      if (own.indexOf(Math.max(...own)) === Number(label)) total.correct += 1;
    });
  }
  return total;
}

const CASES: [string, LossOptions, number][] = [
  ['all rows', {}, ROWS],
  ['the rows of a last batch', {}, 5],
  ['targets that count', { ignoreIndex: 2 }, ROWS],
  ['classes along axis 1', { classAxis: 1, ignoreIndex: 1 }, 5],
  ['targets that count, of the rows of a last batch', { ignoreIndex: 0 }, 3],
];
for (const [title, options, validRows] of CASES) {
  test(`losses and what is correct are those of ${title}, each counted once under every strategy`, async (t) => {
    const { lossSum, ...counts } = await expected(options, validRows);
    t.true(counts.correct > 0 && counts.correct < counts.lossCount);
    const strategies = [1, 2, 3, 4, 5, 6].map(
      (seed) => (graph: Parameters<typeof singleDevice>[0]) => randomStrategy(graph, devices(4), createRandom(seed)),
    );
    for (const strategyOf of [singleDevice, ...strategies]) {
      const result = await seen('crossEntropy', options, validRows, strategyOf);
      t.like(result, counts);
      t.true(Math.abs(result.lossSum - lossSum) < 1e-5);
    }
  });
}

test('a loss without classes counts its elements and judges none', async (t) => {
  const result = await seen('meanSquaredError', {}, 2, singleDevice);
  t.like(result, { lossCount: 2 * STEPS * CLASSES, correct: 0 });
});
