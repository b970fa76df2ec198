import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/graph/builder.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import type { SearchSettings } from '../../soap/job/training-job.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { search } from '../../soap/search/search.ts';
import { searchExhaustively } from '../support/exhaustive-search.ts';

const SETTINGS: SearchSettings = {
  seconds: 3600,
  proposals: 3000,
  seed: 5,
  beta: 20,
  chains: 2,
  start: ['data', 'random'],
};

test('on a small case the search finds the best of all strategies', (t) => {
  const builder = new GraphBuilder();
  const x = builder.input('x', [8, 64]);
  const hidden = builder.op('relu', 'relu', [fullyConnected(builder, 'fc1', x, 64)]);
  const training = attachLoss(builder.build('small', [fullyConnected(builder, 'fc2', hidden, 4)]), 'crossEntropy');
  const problem = { training, cluster: presetCluster('p100x2'), costs: createRooflineCosts() };
  let now = 0;
  const optimum = searchExhaustively(problem)!.prediction.iterationMs;
  const { best } = search(problem, SETTINGS, { nowMs: () => (now += 0.001) });
  t.is(best.prediction.iterationMs, optimum);
});
