import test from 'ava';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { parseCluster } from '../../soap/cluster/cluster-file.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { baselinesOf } from '../../soap/search/baselines.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { onFewerDevices } from '../../soap/search/fewer-devices.ts';
import { searchInThreads } from '../../soap/search/threads/search-in-threads.ts';
import { dataParallel } from '../../soap/baselines/index.ts';

const SETTINGS = { seconds: 3600, proposals: 2, seed: 1, beta: 2000, chains: 2, start: ['data', 'random'] } as const;

function problemOf(batch: number, cluster: Cluster): PlanningProblem {
  return { training: attachLoss(lenet(batch), 'crossEntropy'), cluster, costs: createRooflineCosts() };
}

/** Three slow devices, listed first, and two fast ones in a node of their own. */
function mixedCluster(): Cluster {
  const network = { bandwidthGbps: 100, latencyUs: 5 };
  return parseCluster({
    name: 'mixed',
    nodes: [
      { count: 1, devices: { count: 3, type: 'K80' }, intraNode: { kind: 'pcieSwitch' }, network },
      { count: 1, devices: { count: 2, type: 'H100' }, intraNode: { kind: 'nvswitch' }, network },
    ],
  });
}

/** Data parallelism on each set of devices, the obvious way: the fastest iteration in milliseconds. */
function fastestMs(problem: PlanningProblem, sets: readonly (readonly number[])[]): number {
  const { training, cluster } = problem;
  return Math.min(
    ...sets.map((devices) => evaluate(problem, dataParallel(training.graph, cluster, devices)).iterationMs),
  );
}

test('among slow and fast devices, data parallelism on the fast ones is what a search begins with', async (t) => {
  const problem = problemOf(6000, mixedCluster());
  const [slow, fast] = [
    [0, 1, 2],
    [3, 4],
  ] as const;
  const { data, fewer } = baselinesOf(problem);
  t.deepEqual(
    [...new Set(fewer!.strategy.configs.flatMap(({ devices }) => devices))].sort((a, b) => a - b),
    fast,
  );
  t.is(
    fewer!.prediction.iterationMs,
    fastestMs(problem, [[3], fast, [...fast, ...slow.slice(0, 1)], [...fast, ...slow]]),
  );
  t.true(fewer!.prediction.iterationMs < data!.prediction.iterationMs / 2);
  const { best } = await searchInThreads(problem, SETTINGS, 1, { nowMs: () => 0 });
  t.true(best.prediction.iterationMs <= fewer!.prediction.iterationMs);
});

test('where sums take longer than the samples of another device, fewer of equal ones are used', (t) => {
  const problem = problemOf(64, presetCluster('k80x16'));
  const sets = [1, 2, 4, 8, 16].map((count) => Array.from({ length: count }, (_, i) => i));
  const prediction = evaluate(problem, onFewerDevices(problem)!);
  t.is(prediction.iterationMs, fastestMs(problem, sets));
  t.true(prediction.iterationMs < fastestMs(problem, [sets.at(-1)!]));
});

test('fewer devices are left out where all of them are faster, or as fast', (t) => {
  const problem = problemOf(4096, presetCluster('p100x4'));
  const { data, fewer } = baselinesOf(problem);
  t.is(fewer, undefined);
  t.is(data!.prediction.iterationMs, fastestMs(problem, [[0], [0, 1], [0, 1, 2, 3]]));
});

test('a search that is ended amid its baselines has a plan, says what it saw before, and begins no chain', async (t) => {
  const abort = new AbortController();
  const seen: (number | undefined)[] = [];
  const { best, baselines, statistics } = await searchInThreads(problemOf(64, presetCluster('k80x16')), SETTINGS, 1, {
    nowMs: () => 0,
    signal: abort.signal,
    onBaseline: (bestMs) => {
      seen.push(bestMs);
      if (bestMs !== undefined) abort.abort();
    },
  });
  t.deepEqual(seen, [undefined, best.prediction.iterationMs]);
  t.deepEqual(Object.keys(baselines), ['fewer']);
  t.is(statistics.stoppedBy, 'interrupted');
  t.is(statistics.proposals, 0);
});
