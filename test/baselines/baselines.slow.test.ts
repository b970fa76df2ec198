import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { BUILTIN_MODELS, findBuiltin } from '../../soap/models/index.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel, expertStrategy, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { validateStrategy } from '../../soap/strategy/validate.ts';

test('GPT-3 fits on 1024 GPUs, and its strategy is made in a moment', (t) => {
  const model = findBuiltin('gpt');
  const parameters = { layers: 96, width: 12_288, heads: 96, sequence: 2048, vocabulary: 51_200 };
  const { graph } = attachLoss(model.build(64, parameters), model.loss);
  const cluster = presetCluster('h100x1024');
  const start = performance.now();
  const strategy = expertStrategy(graph, cluster, 'adam');
  t.true(performance.now() - start < 10_000);
  t.deepEqual(validateStrategy(graph, 1024, strategy), []);
  const problem = {
    training: { graph, lossOps: [], accumulationSteps: 1 },
    cluster,
    costs: createRooflineCosts(),
    optimizer: 'adam',
  } as const;
  t.true(evaluate(problem, strategy).feasible);
});

const CLUSTERS = ['p100x1', 'localx3', 'p100x4', 'localx5', 'k80x16', 'gb200x72', 'h100x1024'];

for (const model of BUILTIN_MODELS) {
  test(`every baseline of ${model.name} is valid at any batch on any cluster`, (t) => {
    for (const batch of [1, 3, 64]) {
      const { graph } = attachLoss(model.build(batch, {}), model.loss);
      for (const cluster of CLUSTERS.map(presetCluster)) {
        for (const baseline of [dataParallel, modelParallel, expertStrategy, singleDevice]) {
          const strategy = baseline(graph, cluster);
          t.deepEqual(validateStrategy(graph, cluster.devices.length, strategy), [], `batch ${batch}, ${cluster.name}`);
        }
      }
    }
  });
}
