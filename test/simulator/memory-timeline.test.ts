import test from 'ava';
import * as fc from 'fast-check';
import { memoryText } from '../../cli/terminal/memory-report.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph, findBuiltin } from '../../soap/models/index.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { createRandom } from '../../soap/random.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import type { LiveTensor } from '../../soap/simulator/live-tensors.ts';
import { liveTensors } from '../../soap/simulator/live-tensors.ts';
import { DeltaSimulation } from '../../soap/simulator/delta/delta-simulation.ts';
import { deviceBytes, programMemory } from '../../soap/simulator/program-memory.ts';
import { memoryReport } from '../../soap/simulator/memory-report.ts';
import { memoryTimeline } from '../../soap/simulator/memory-timeline.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { dataParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import type { Task } from '../../soap/tasks/task-graph.ts';

const costs = createRooflineCosts();

/** Its first ops have no backward pass. */
function preprocessed(): TrainingGraph {
  const builder = new GraphBuilder();
  const x = builder.op('relu', 'relu2', [builder.op('relu', 'relu1', [builder.input('x', [8, 16])])]);
  const y = fullyConnected(builder, 'fc2', fullyConnected(builder, 'fc1', x, 8), 4);
  return attachLoss(builder.build('preprocessed', [y]), 'crossEntropy');
}

const MODELS: Readonly<Record<string, TrainingGraph>> = {
  preprocessed: preprocessed(),
  lenet: attachLoss(builtinGraph('lenet', 8), 'crossEntropy'),
  rnnlm: attachLoss(
    builtinGraph('rnnlm', 8, { steps: 4, group: 2, hidden: 8, embedding: 8, vocabulary: 16 }),
    'crossEntropy',
  ),
  resnet: attachLoss(builtinGraph('resnet50', 2, { image: 32, width: 4 }), 'crossEntropy'),
};

function live(training: TrainingGraph, strategy: Strategy, cluster = presetCluster('p100x4')) {
  const graph = buildTaskGraph(training, strategy, cluster, costs);
  const timeline = simulate(graph);
  const layout = layOut(training, strategy);
  return { graph, timeline, tensors: liveTensors({ training, graph, timeline, layout }) };
}

for (const [name, training] of Object.entries(MODELS)) {
  test(`what is live at a moment is what a look at every tensor says, and never more than is allocated: ${name}`, (t) => {
    const cluster = presetCluster('p100x4');
    const large = name === 'resnet';
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = createRandom(seed);
        const strategy =
          random.integer(4) === 0
            ? dataParallel(training.graph, cluster)
            : randomStrategy(training.graph, cluster, random);
        const { tensors } = live(training, strategy);
        const plans = programMemory({ training, cluster }, strategy);
        const simulation = new DeltaSimulation({ training, cluster, costs }, strategy);
        for (const memory of memoryTimeline(tensors, 4)) {
          const allocated = deviceBytes(plans[memory.device]!);
          t.true(memory.peakBytes <= allocated, `${memory.peakBytes} live of ${allocated}`);
          t.true(allocated <= simulation.mostMemoryBytes[memory.device]!);
          t.is(memory.peakBytes, Math.max(...memory.bytes));
          t.is(
            memory.peakOps.reduce((sum, { bytes }) => sum + bytes, 0),
            memory.peakBytes,
          );
          t.is(memory.bytes.at(-1), 0);
          for (let sample = 0; sample < (large ? 2 : 12); sample++) {
            const step = random.integer(memory.timesUs.length);
            const atUs = memory.timesUs[step]!;
            const then = tensors.filter(
              ({ device, fromUs, toUs }) => device === memory.device && fromUs <= atUs && atUs < toUs,
            );
            t.is(
              memory.bytes[step],
              then.reduce((sum, { bytes }) => sum + bytes, 0),
            );
          }
        }
      }),
      { numRuns: large ? 2 : 20 },
    );
  });
}

/** Two layers of eight samples: fc1 of 16 to 32 on device 0, the others on device 1. */
function twoDevices() {
  const builder = new GraphBuilder();
  const hidden = fullyConnected(builder, 'fc1', builder.input('x', [8, 16]), 32);
  const y = fullyConnected(builder, 'fc2', builder.op('relu', 'relu', [hidden]), 4);
  const training = attachLoss(builder.build('two devices', [y]), 'crossEntropy');
  const configs = training.graph.ops.map(({ name }) => ({
    degrees: name === 'fc1' || name === 'fc2' ? [1, 1, 1] : [1, 1],
    devices: [name === 'fc1' ? 0 : 1],
  }));
  return { training, ...live(training, { configs }, presetCluster('p100x2')) };
}

test('on two devices, what is sent is left to the message, and the rest lives as long as segments need it', (t) => {
  const { training, graph, timeline, tensors } = twoDevices();
  const op = (name: string): number => training.graph.ops.find((each) => each.name === name)!.id;
  const task = (kind: Task['kind'], name: string, payload?: string): { startUs: number; endUs: number } => {
    const { id } = graph.tasks.find(
      (each) =>
        each.kind === kind &&
        (each.kind === 'transfer' ? each.payload === payload : 'op' in each && each.op === op(name)),
    )!;
    return { startUs: timeline.startUs[id]!, endUs: timeline.endUs[id]! };
  };
  const find = (name: string, use: LiveTensor['use'], bytes?: number): LiveTensor =>
    tensors.find((each) => each.op === op(name) && each.use === use && (bytes ?? each.bytes) === each.bytes)!;
  const hiddenBytes = 8 * 32 * 4;
  // It is sent as it is, and its own backward pass does not look at it: it is left to the message.
  t.like(find('fc1', 'output'), { device: 0, bytes: hiddenBytes, fromUs: 0, toUs: timeline.makespanUs });
  t.like(find('fc1', 'gradient'), {
    device: 0,
    bytes: hiddenBytes,
    fromUs: task('backward', 'fc1').startUs,
    toUs: task('backward', 'fc1').endUs,
  });
  // The forward segment of the second device puts it together; its backward one does without.
  const forward = { fromUs: task('forward', 'relu').startUs, toUs: task('forward', 'crossEntropy').endUs };
  t.like(find('relu', 'input'), { device: 1, bytes: hiddenBytes, ...forward });
  t.like(find('relu', 'output'), { fromUs: forward.fromUs, toUs: task('backward', 'relu').endUs });
  // Within the backward segment, the gradient that fc2 hands to relu; and what goes on from there, which is sent as it is.
  t.like(find('fc2', 'gradient', hiddenBytes), {
    fromUs: task('backward', 'fc2').startUs,
    toUs: task('backward', 'relu').endUs,
  });
  t.like(find('relu', 'gradient'), { fromUs: task('backward', 'crossEntropy').startUs, toUs: timeline.makespanUs });
  // Weight and bias, their gradients and momentum.
  const parameters = tensors.filter((each) => each.op === op('fc1') && each.use === 'parameters');
  t.is(
    parameters.reduce((sum, { bytes }) => sum + bytes, 0),
    3 * 4 * (16 * 32 + 32),
  );
  t.true(parameters.every(({ device, fromUs, toUs }) => device === 0 && fromUs === 0 && toUs === timeline.makespanUs));
});

test('the report says what is missing, and names the ops that need most', (t) => {
  const training = attachLoss(builtinGraph('alexnet', 16384), 'crossEntropy');
  const cluster = presetCluster('p100x4');
  const strategy = dataParallel(training.graph, cluster);
  const devices = memoryReport({ training, cluster, costs }, strategy);
  t.is(devices.length, 4);
  for (const { capacityBytes, neededBytes, missingBytes, peakBytes, ops } of devices) {
    t.is(capacityBytes, 16 * 2 ** 30);
    t.is(missingBytes, neededBytes - capacityBytes);
    t.true(missingBytes > 0 && peakBytes < neededBytes);
    t.deepEqual(
      ops.slice(0, 2).map(({ op }) => op),
      ['relu1', 'conv1'],
    );
    t.is(ops.length, 10);
    t.true(ops.every((each, i) => i === 0 || each.neededBytes <= ops[i - 1]!.neededBytes));
  }
});

test('the report of what would take minutes to look at is estimated, says so, and has the number of the prediction', (t) => {
  const parameters = { layers: 40, width: 64, heads: 8, sequence: 32, vocabulary: 128 };
  const training = attachLoss(builtinGraph('gpt', 8, parameters), findBuiltin('gpt').loss);
  const cluster = presetCluster('p100x256');
  const strategy = singleDevice(training.graph);
  const devices = memoryReport({ training, cluster, costs }, strategy);
  t.true(devices.every(({ isExact }) => !isExact));
  const most = Math.max(...devices.map(({ neededBytes }) => neededBytes));
  t.is(most, evaluate({ training, cluster, costs }, strategy).peakMemoryBytes);
  t.regex(memoryText(devices), /device +capacity +needed \(estimated\) +too much by/);
});
