import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { runChains } from '../../soap/search/run-chains.ts';
import { baselinesOf } from '../../soap/search/baselines.ts';
import { chainStarts } from '../../soap/search/starts.ts';
import { searchExhaustively } from '../support/exhaustive-search.ts';

const SETTINGS: SearchSettings = {
  seconds: 3600,
  proposals: 3000,
  seed: 5,
  beta: 20,
  chains: 2,
  start: ['data', 'random'],
};

test('on a small case chains find the best of all strategies, without being told of a proven one', (t) => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 64]);
  const hidden = builder.op('relu', 'relu', [fullyConnected(builder, 'fc1', x, 64)]);
  const training = attachLoss(builder.build('small', [fullyConnected(builder, 'fc2', hidden, 4)]), 'crossEntropy');
  const problem = { training, cluster: presetCluster('p100x2'), costs: createRooflineCosts() };
  const optimum = searchExhaustively(problem)!.prediction.iterationMs;
  const { exact: _, ...baselines } = baselinesOf(problem);
  const starts = chainStarts(problem, SETTINGS, baselines);
  const environment = { elapsedMs: () => 0, onProgress: () => undefined, isInterrupted: () => false };
  const startMs = Math.min(...starts.map(({ strategy }) => evaluate(problem, strategy).iterationMs));
  t.true(startMs > optimum, 'the case is worth a test');
  const found = runChains(problem, starts, SETTINGS, environment);
  const best = found.reduce((a, b) => (b.energyMs < a.energyMs ? b : a));
  t.is(evaluate(problem, best.strategy).iterationMs, optimum);
});
