import test from 'ava';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { Graph } from '../../soap/graph/graph.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { dataParallel, expertStrategy, modelParallel } from '../../soap/baselines/index.ts';
import { baselineTime } from '../../soap/search/baseline-time.ts';
import { baselinesOf } from '../../soap/search/baselines.ts';
import { chainStarts } from '../../soap/search/starts.ts';
import { search } from '../../soap/search/search.ts';
import { searchInThreads } from '../../soap/search/threads/search-in-threads.ts';
import { MemoryUse } from '../../soap/simulator/delta/memory-use.ts';
import { StepSimulation } from '../../soap/simulator/delta/step-simulation.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';

const SETTINGS: SearchSettings = { seconds: 10, seed: 1, beta: 2000, chains: 2, start: ['data', 'expert'] };

function problemOf(cluster: string, batch = 64): PlanningProblem {
  return {
    training: attachLoss(lenet(batch), 'crossEntropy'),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
}

function tasksOf(problem: PlanningProblem, strategyOf: (graph: Graph, cluster: Cluster) => Strategy): number {
  return new StepSimulation(problem, strategyOf(problem.training.graph, problem.cluster)).network.tasks.size;
}

/** A clock that moves on by a fixed step at each look. */
function steppingClock(stepMs: number): { nowMs(): number } {
  let now = 0;
  return { nowMs: () => (now += stepMs) };
}

test('a baseline with more tasks than there is time for is left out, the others stay as they are and in their order', (t) => {
  const problem = problemOf('k80x32');
  const all = baselinesOf(problem);
  t.deepEqual(Object.keys(all).slice(0, 3), ['data', 'model', 'expert']);
  const tasks = { data: tasksOf(problem, dataParallel), expert: tasksOf(problem, expertStrategy) };
  t.true(tasks.data < tasks.expert && tasks.data < tasksOf(problem, modelParallel));
  // A thousand tasks a millisecond.
  const some = baselinesOf(problem, () => tasks.data / 1000);
  t.deepEqual(Object.keys(some), ['data', 'fewer']);
  t.deepEqual(some.data, all.data);
  t.deepEqual(some.fewer, all.fewer);
});

test('without any time there still is one strategy to go by', (t) => {
  const problem = problemOf('k80x16');
  t.deepEqual(Object.keys(baselinesOf(problem, () => 0)), ['fewer']);
});

test('baselines have half of the time, at least half a second; where proposals are counted, no clock matters', (t) => {
  t.is(baselineTime({ seconds: 10 }, () => 1500)(), 3500);
  t.is(baselineTime({ seconds: 0 }, () => 100)(), 400);
  t.is(baselineTime({ seconds: 10, proposals: 5 }, () => 1e9)(), Infinity);
});

test('a search by time leaves out what its baselines had no time for, and goes on from the others', async (t) => {
  const problem = problemOf('k80x16');
  for (const found of [
    search(problem, SETTINGS, steppingClock(1000)),
    await searchInThreads(problem, SETTINGS, 1, steppingClock(1000)),
  ]) {
    const names = Object.keys(found.baselines);
    t.true(names.includes('fewer') && !names.includes('model'), names.join());
    t.is(found.best.prediction.iterationMs <= found.baselines['fewer']!.iterationMs, true);
  }
});

test('a search by proposals has all of its baselines, however slow the clock', (t) => {
  const problem = problemOf('k80x16');
  const counted = { ...SETTINGS, proposals: 2 };
  const slow = search(problem, { ...counted, seconds: 12 }, steppingClock(1000));
  const fast = search(problem, { ...counted, seconds: 12 }, steppingClock(0));
  t.deepEqual(slow.baselines, fast.baselines);
  t.deepEqual(Object.keys(slow.baselines).slice(0, 3), ['data', 'model', 'expert']);
});

test('memory is not looked at exactly with millions of tasks, which would take more of it than there is', (t) => {
  const { training, cluster } = problemOf('k80x32');
  const memory = new MemoryUse(training.graph, cluster, 'sgd', 1);
  t.true(memory.allowsExact(2 ** 20));
  t.false(memory.allowsExact(2 ** 20 + 1));
  t.false(memory.asksForExact([], 2 ** 20 + 1));
});

test('of several chains, the one that would start slowest starts on fewer devices, where these are faster', (t) => {
  const problem = problemOf('k80x16');
  const { data, model, expert, fewer } = baselinesOf(problem);
  const baselines = { data: data!, model: model!, expert: expert!, fewer: fewer! };
  const ms = ({ prediction }: typeof baselines.data): number => prediction.iterationMs;
  t.true(ms(baselines.fewer) < ms(baselines.data) && ms(baselines.data) < ms(baselines.expert));
  // Nothing is so slow that it gives way for that alone.
  const near = {
    ...baselines,
    expert: { ...baselines.expert, prediction: { ...data!.prediction, iterationMs: ms(data!) * 1.01 } },
  };
  const from = (chains: number, start: SearchSettings['start']): unknown[] =>
    chainStarts(problem, { ...SETTINGS, chains, start }, near).map(
      ({ strategy }) => Object.entries(near).find(([, candidate]) => candidate.strategy === strategy)?.[0],
    );
  t.deepEqual(from(1, ['data', 'expert']), ['data']);
  t.deepEqual(from(2, ['data', 'expert']), ['data', 'fewer']);
  t.deepEqual(from(3, ['expert', 'random', 'data']), ['fewer', undefined, 'data']);
  t.deepEqual(from(2, ['random']), [undefined, undefined]);
});
