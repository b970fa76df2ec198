import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/graph/builder.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { opDimensions } from '../../soap/ops/index.ts';
import { acceptanceProbability } from '../../soap/search/accept.ts';
import type { PlanningProblem } from '../../soap/search/evaluate.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { search } from '../../soap/search/search.ts';
import { divisorsUpTo } from '../../soap/strategy/divisors.ts';
import type { OpConfig } from '../../soap/strategy/strategy.ts';

const SETTINGS: SearchSettings = {
  seconds: 3600,
  proposals: 300,
  seed: 5,
  beta: 20,
  chains: 2,
  start: ['data', 'random'],
};

/** A clock that moves on by a fixed step at each look. */
function steppingClock(stepMs: number): { nowMs(): number } {
  let now = 0;
  return { nowMs: () => (now += stepMs) };
}

function problemOf(cluster: string): PlanningProblem {
  return {
    training: attachLoss(lenet(64), 'crossEntropy'),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
}

test('equal seeds and proposal counts give equal plans, whatever the clock does', (t) => {
  const problem = problemOf('p100x4');
  const slow = search(problem, SETTINGS, steppingClock(1));
  const fast = search(problem, SETTINGS, steppingClock(0.001));
  t.deepEqual(slow.best, fast.best);
  t.is(slow.statistics.accepted, fast.statistics.accepted);
});

test('another seed walks another way', (t) => {
  const problem = problemOf('p100x4');
  const one = search(problem, SETTINGS, steppingClock(1));
  const other = search(problem, { ...SETTINGS, seed: 6 }, steppingClock(1));
  t.not(one.statistics.accepted, other.statistics.accepted);
});

test('the found plan is never worse than a baseline', (t) => {
  for (const cluster of ['p100x4', 'k80x4', 'local']) {
    const { best, baselines } = search(problemOf(cluster), SETTINGS, steppingClock(1));
    for (const baseline of Object.values(baselines)) t.true(best.prediction.iterationMs <= baseline.iterationMs);
  }
});

test('a search ends at its time budget', (t) => {
  const { statistics } = search(problemOf('local'), { ...SETTINGS, seconds: 1, proposals: 1e9 }, steppingClock(10));
  t.is(statistics.stoppedBy, 'budget');
  t.true(statistics.seconds <= 1.1);
});

test('a search ends when the best has not improved for half of the time', (t) => {
  const { proposals: _, ...timed } = { ...SETTINGS, seconds: 10 };
  const { statistics } = search(problemOf('localx1'), timed, steppingClock(10));
  t.is(statistics.stoppedBy, 'noImprovement');
});

test('a faster strategy is always accepted, a slower one by how much slower it is', (t) => {
  t.is(acceptanceProbability(10, 9, 9, 20), 1);
  t.true(Math.abs(acceptanceProbability(10, 11, 10, 20) - Math.exp(-2)) < 1e-12);
  t.true(acceptanceProbability(10, 12, 10, 20) < acceptanceProbability(10, 11, 10, 20));
});

test('on a small case the search finds the best of all strategies', (t) => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 64]);
  const hidden = builder.op('relu', 'relu', [fullyConnected(builder, 'fc1', x, 64)]);
  const training = attachLoss(builder.build('small', [fullyConnected(builder, 'fc2', hidden, 4)]), 'crossEntropy');
  const problem = { training, cluster: presetCluster('p100x2'), costs: createRooflineCosts() };
  let optimum = Infinity;
  const walk = (configs: readonly OpConfig[]): void => {
    const op = training.graph.ops[configs.length];
    if (op === undefined) {
      optimum = Math.min(optimum, evaluate(problem, { configs }).iterationMs);
      return;
    }
    const dimensions = opDimensions(training.graph, op);
    for (const degrees of product(dimensions.map(({ size }) => divisorsUpTo(size, 2)))) {
      const parts = degrees.reduce((a, b) => a * b, 1);
      if (parts > 2) continue;
      for (const devices of product(Array.from({ length: parts }, () => [0, 1])))
        walk([...configs, { degrees, devices }]);
    }
  };
  walk([]);
  const { best } = search(problem, { ...SETTINGS, proposals: 3000 }, steppingClock(0.001));
  t.is(best.prediction.iterationMs, optimum);
});

function product(choices: readonly (readonly number[])[]): number[][] {
  return choices.reduce<number[][]>(
    (rows, values) => rows.flatMap((row) => values.map((value) => [...row, value])),
    [[]],
  );
}
