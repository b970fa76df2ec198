import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph, findBuiltin } from '../../soap/models/index.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { deviceBytes, programMemory } from '../../soap/simulator/program-memory.ts';
import { SMALL_MODELS, titleOf } from '../models/small.ts';
import { usualStrategies } from '../support/usual-strategies.ts';

const BATCH = 8;

/** What the estimate may be below the exact number: it takes the order of the graph for that of the devices. */
const MOST_TOO_LOW = 0.1;

/** A model of more layers than the small ones. */
const DEEP = { name: 'gpt', parameters: { layers: 4, width: 64, heads: 8, sequence: 32, vocabulary: 128 } } as const;

for (const model of [...SMALL_MODELS, DEEP]) {
  test(`memory is estimated to be no less than it is: ${titleOf(model)}`, (t) => {
    const { name, parameters } = model;
    const training = attachLoss(builtinGraph(name, BATCH, parameters), findBuiltin(name).loss);
    const cluster = presetCluster('p100x4');
    for (const [kind, strategy] of usualStrategies(training.graph, cluster, 2)) {
      const exact = Math.max(...programMemory({ training, cluster }, strategy).map(deviceBytes));
      const simulation = new DeltaSimulation({ training, cluster, costs: createRooflineCosts() }, strategy);
      const ratio = Math.max(...simulation.reusingMemoryBytes) / exact;
      t.true(ratio > 1 - MOST_TOO_LOW, `${kind}: ${ratio}`);
      t.true(Math.max(...simulation.mostMemoryBytes) >= exact, `${kind}: the most it can be`);
    }
  });
}
