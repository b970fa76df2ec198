import { getEventListeners } from 'node:events';
import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { lenet } from '../../soap/models/lenet.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import type { SearchProgress } from '../../soap/search/search.ts';
import { search } from '../../soap/search/search.ts';
import { searchInThreads } from '../../soap/search/threads/search-in-threads.ts';
import { dataParallel, modelParallel } from '../../soap/baselines/index.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';
import { opConfigs } from '../support/exhaustive-search.ts';

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

test('threads find what one thread finds, however many they are', async (t) => {
  const problem = problemOf('p100x4');
  const settings = { ...SETTINGS, chains: 3 };
  const { best, statistics } = search(problem, settings, steppingClock(0.001));
  for (const threads of [1, 2]) {
    const threaded = await searchInThreads(problem, settings, threads, steppingClock(0.001));
    t.deepEqual(threaded.best, best);
    t.is(threaded.statistics.accepted, statistics.accepted);
  }
});

test('a thread that fails ends the search, with its error, and the other threads', async (t) => {
  const { signal } = new AbortController();
  const costs = createRooflineCosts();
  let threads = 0;
  // The second thread is told of costs that are none.
  Object.defineProperty(costs, 'recipe', { get: () => ({ kind: threads++ === 0 ? 'roofline' : 'measured' }) });
  const problem = { ...problemOf('p100x4'), costs };
  const endless = { ...SETTINGS, proposals: Number.MAX_SAFE_INTEGER };
  await t.throwsAsync(searchInThreads(problem, endless, 2, { ...steppingClock(0), signal }), {
    // An error from another thread, which AVA does not take for one.
    any: true,
    instanceOf: TypeError,
  });
  t.is(threads, 2);
  t.deepEqual(getEventListeners(signal, 'abort'), []);
});

test('another seed walks another way', (t) => {
  const problem = problemOf('p100x4');
  const one = search(problem, SETTINGS, steppingClock(1));
  const other = search(problem, { ...SETTINGS, seed: 6 }, steppingClock(1));
  t.not(one.statistics.accepted, other.statistics.accepted);
});

test('the found plan is never worse than a baseline', (t) => {
  for (const cluster of ['p100x4', 'k80x4', 'local']) {
    const problem = problemOf(cluster);
    const { best, baselines } = search(problem, SETTINGS, steppingClock(1));
    for (const [name, strategy] of [
      ['data', dataParallel(problem.training.graph, problem.cluster)],
      ['model', modelParallel(problem.training.graph, problem.cluster)],
    ] as const) {
      const alone = evaluate(problem, strategy);
      t.deepEqual(baselines[name], alone);
      t.true(best.prediction.iterationMs <= alone.iterationMs, `${name} on ${cluster}`);
    }
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

test('an exhaustive search tries every strategy once', (t) => {
  const { graph } = attachLoss(lenet(4), 'crossEntropy');
  const fc3 = graph.ops.find(({ name }) => name === 'fc3')!;
  // One part on either device, or two parts by sample, channel or width on any two.
  t.is(opConfigs(graph, fc3, 2).length, 2 + 3 * 4);
  // Of three, also three parts by width, 84.
  t.is(new Set(opConfigs(graph, fc3, 3).map((config) => JSON.stringify(config))).size, 3 + 3 * 9 + 27);
});

/** Sixteen layers of prime width, so that they can only be placed, not split; a batch of one. */
function unsplittable(layersPerDevice: number): PlanningProblem {
  const width = 211;
  const builder = new GraphBuilder();
  let x = builder.input('x', [1, width]);
  for (let layer = 0; layer < 16; layer++) x = fullyConnected(builder, `fc${layer}`, x, width);
  const { description } = presetCluster('p100x8');
  const memoryBytes = layersPerDevice * 3 * 4 * (width * width + width);
  const devices = description.devices.map((device) => ({ ...device, memoryBytes }));
  return {
    training: attachLoss(builder.build('deep', [x]), 'crossEntropy'),
    cluster: createCluster({ ...description, devices }),
    costs: createRooflineCosts(),
  };
}

test('where no baseline fits into memory, the search finds a strategy that does', (t) => {
  const { best, baselines } = search(unsplittable(2.2), { ...SETTINGS, proposals: 1200 }, steppingClock(0.001));
  t.deepEqual(
    Object.values(baselines).map(({ feasible }) => feasible),
    [false, false, false, false],
  );
  t.true(best.prediction.feasible);
  const perDevice = Map.groupBy(best.strategy.configs.slice(0, 16), ({ devices }) => devices[0]);
  t.deepEqual(
    [...perDevice.values()].map((layers) => layers.length),
    [2, 2, 2, 2, 2, 2, 2, 2],
  );
});

test('where nothing fits into memory, the search says so', (t) => {
  const { best } = search(unsplittable(0.5), { ...SETTINGS, proposals: 50 }, steppingClock(0.001));
  t.false(best.prediction.feasible);
});

test('a strategy that fits is better than a faster one that does not', (t) => {
  const { best } = search(unsplittable(2.2), { ...SETTINGS, proposals: 1200 }, steppingClock(0.001));
  const { best: roomy } = search(unsplittable(100), { ...SETTINGS, proposals: 1200 }, steppingClock(0.001));
  t.true(roomy.prediction.iterationMs < best.prediction.iterationMs);
});

test('progress is reported on the way and at the end', (t) => {
  const reports: SearchProgress[] = [];
  const environment = { ...steppingClock(1), onProgress: (progress: SearchProgress) => reports.push(progress) };
  const { best, statistics } = search(problemOf('local'), SETTINGS, environment);
  t.true(reports.length > 1);
  t.is(reports.at(-1)!.proposals, statistics.proposals);
  t.is(reports.at(-1)!.bestIterationMs, best.prediction.iterationMs);
  t.true(reports.every(({ proposals }, i) => i === 0 || proposals >= reports[i - 1]!.proposals));
});

test('a search without time still gives the best of its starts', (t) => {
  const { best, baselines, statistics } = search(problemOf('p100x4'), { ...SETTINGS, seconds: 0 }, steppingClock(1));
  t.is(statistics.proposals, 0);
  t.is(statistics.stoppedBy, 'budget');
  const times = Object.values(baselines).map(({ iterationMs }) => iterationMs);
  t.true(times.length >= 4 && best.prediction.iterationMs <= Math.min(...times));
});

test('the best of a search is a valid strategy that is predicted again as it was', (t) => {
  const problem = problemOf('k80x8');
  const { best } = search(problem, SETTINGS, steppingClock(1));
  t.deepEqual(validateStrategy(problem.training.graph, 8, best.strategy), []);
  t.deepEqual(evaluate(problem, best.strategy), best.prediction);
});
