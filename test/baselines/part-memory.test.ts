import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { expertStrategy } from '../../soap/baselines/index.ts';
import { halfFrozen } from '../support/freezing.ts';
import { stageMemoryBytes } from '../../soap/baselines/part-memory.ts';

for (const frozen of [false, true]) {
  test(`memory of a stage is that of its first device${frozen ? ', some of it frozen' : ''}`, (t) => {
    const model = { layers: 2, width: 64, heads: 8, sequence: 32, vocabulary: 128 };
    for (const cluster of [presetCluster('h100x8'), presetCluster('p100x16')]) {
      const graph = builtinGraph('gpt', 8, model);
      const training = attachLoss(frozen ? halfFrozen(graph) : graph, 'crossEntropy');
      const strategy = expertStrategy(training.graph, cluster, 'adam');
      const simulation = new DeltaSimulation(
        { training, cluster, costs: createRooflineCosts(), optimizer: 'adam' },
        strategy,
      );
      const oneStage = training.graph.ops.map(() => 0);
      const [bytes] = stageMemoryBytes(training.graph, strategy, oneStage, 'adam');
      // It leaves out statistics.
      const ratio = bytes! / simulation.reusingMemoryBytes[0]!;
      t.true(ratio > 0.95 && ratio <= 1, `${ratio}`);
    }
  });
}
