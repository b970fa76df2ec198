import test from 'ava';
import { ELEMENT_BYTES } from '../../soap/onnx/element-types.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph, findBuiltin } from '../../soap/models/index.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { programMemory } from '../../soap/simulator/program-memory.ts';
import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import { createOptimizer } from '../../runtime/optimizers/optimizer.ts';
import { DeviceProgram } from '../../runtime/program/device-program.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import { SMALL_MODELS, titleOf } from '../models/small.ts';
import { halfFrozen } from '../support/freezing.ts';
import { lastStepModel } from '../support/last-step.ts';
import { sgd } from '../support/sgd.ts';
import { usualStrategies } from '../support/usual-strategies.ts';

const DEVICES = 4;
const BATCH = 4;
const SGD = sgd({ momentum: 0.9 });

/** An engine that adds up what it allocates, and compiles nothing. */
function countingEngine(): { engine: KernelEngine; bytes: () => number } {
  const reference = createReferenceEngine();
  let bytes = 0;
  const engine: KernelEngine = {
    ...reference,
    allocate(dtype, elements) {
      bytes += ELEMENT_BYTES[dtype] * elements;
      return reference.allocate(dtype, elements);
    },
    compile: () => ({
      bind: () => ({ run: () => Promise.resolve(), release: () => undefined }),
      release: () => undefined,
    }),
  };
  return { engine, bytes: () => bytes };
}

const MODELS: readonly [title: string, training: TrainingGraph][] = [
  ...SMALL_MODELS.map((model, i): [string, TrainingGraph] => {
    const [{ loss }, microBatches] = [findBuiltin(model.name), 1 + (i % 2)];
    const graph = builtinGraph(model.name, BATCH, model.parameters);
    return [`${titleOf(model)} in ${microBatches}`, attachLoss(graph, loss, {}, microBatches)];
  }),
  ...['lenet', 'gpt', 'rnnlm'].map((name): [string, TrainingGraph] => {
    const { parameters } = SMALL_MODELS.find((model) => model.name === name)!;
    const graph = halfFrozen(builtinGraph(name, BATCH, parameters));
    return [`${name}, its first half frozen`, attachLoss(graph, findBuiltin(name).loss, {}, 2)];
  }),
  ['layers of one shape, of which one hands no gradient on', lastStepModel(BATCH)],
];

for (const [title, training] of MODELS) {
  test(`predicted memory is what the runtime allocates: ${title}`, (t) => {
    const { graph } = training;
    const cluster = presetCluster(`localx${DEVICES}`);
    const weights = initializeWeights(graph, 1);
    for (const [name, strategy] of usualStrategies(graph, cluster, 3)) {
      const predicted = programMemory({ training, cluster }, strategy);
      const work = planWork(training, strategy, cluster);
      createMemoryTransports(DEVICES).forEach((transport, device) => {
        const { engine, bytes } = countingEngine();
        const order = work.orders[device]!;
        const program = new DeviceProgram({
          ...work,
          training,
          order,
          device,
          engine,
          transport,
          optimizer: SGD,
          weights,
        });
        program.release();
        const { keptBytes, slotBytes } = predicted[device]!;
        // The optimizer's rates, which all updates share.
        const rates = createOptimizer(SGD, false).rates(0, 0, 1).length * ELEMENT_BYTES.float32;
        t.is(keptBytes + slotBytes + rates, bytes(), `${name}, device ${device}`);
      });
    }
  });
}
