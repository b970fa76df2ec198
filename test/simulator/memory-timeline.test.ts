import test from 'ava';
import * as fc from 'fast-check';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { GraphBuilder } from '../../soap/graph/builder.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import { attachLoss } from '../../soap/graph/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { createRandom } from '../../soap/random.ts';
import type { LiveTensor } from '../../soap/simulator/live-tensors.ts';
import { liveTensors } from '../../soap/simulator/live-tensors.ts';
import { memoryReport } from '../../soap/simulator/memory-report.ts';
import { memoryTimeline } from '../../soap/simulator/memory-timeline.ts';
import type { Timeline } from '../../soap/simulator/simulate.ts';
import { simulate } from '../../soap/simulator/simulate.ts';
import { dataParallel } from '../../soap/strategy/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { buildTaskGraph } from '../../soap/tasks/build.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { deviceMemoryBytes, isReadInPlace, shardMemoryBytes } from '../../soap/tasks/memory.ts';
import type { Task, TaskGraph } from '../../soap/tasks/task-graph.ts';
import { regionBytes } from '../../soap/tasks/work.ts';

const costs = createRooflineCosts();

/** The bytes of a device at a moment by the obvious way: looks at every part, and asks the task graph who still needs it. */
function naiveBytes(
  graph: TaskGraph,
  { startUs, endUs }: Timeline,
  layout: Layout,
  device: number,
  atUs: number,
): number {
  const tasksOf = (kind: Task['kind'], op: number, part: number): Task[] =>
    graph.tasks.filter((task) => task.kind === kind && 'part' in task && task.op === op && task.part === part);
  const begun = (tasks: readonly Task[]): boolean => tasks.some(({ id }) => startUs[id]! <= atUs);
  const open = (tasks: readonly Task[]): boolean => tasks.some(({ id }) => endUs[id]! > atUs);
  const passes = ({ op, index }: PlacedPart): Task[] => [
    ...tasksOf('forward', op, index),
    ...tasksOf('backward', op, index),
  ];
  let bytes = 0;
  for (const { region, devices } of layout.shards)
    if (devices.includes(device)) bytes += shardMemoryBytes(regionBytes(region), 'sgd');
  for (const part of layout.parts.flat()) {
    if (part.device !== device) continue;
    const outputBytes = part.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    const forward = tasksOf('forward', part.op, part.index);
    const backward = tasksOf('backward', part.op, part.index);
    const next = [...new Set(forward.flatMap(({ successors }) => successors))].map((id) => graph.tasks[id]!);
    const readers = next.filter((task) => task.kind === 'forward' && task.op !== part.op);
    const inPlace = readers.flatMap((task) => {
      if (task.kind !== 'forward') return [];
      const reader = layout.parts[task.op]![task.part]!;
      const used = layout.graph.ops[reader.op]!.inputs.some(
        (tensor, input) => layout.producers[tensor]?.op.id === part.op && isReadInPlace(layout, reader, input),
      );
      return used ? passes(reader) : [];
    });
    const copies = readers.flatMap((task) => (task.kind === 'forward' ? tasksOf('forward', task.op, task.part) : []));
    const sends = next.filter(({ kind }) => kind === 'transfer');
    if (begun(forward) && open([...forward, ...backward, ...inPlace, ...copies, ...sends])) bytes += outputBytes;
    const before = backward.flatMap(({ predecessors }) => predecessors).map((id) => graph.tasks[id]!);
    const adders = before.filter(
      (task) => task.kind === 'transfer' || (task.kind === 'backward' && task.op !== part.op),
    );
    const added = adders.flatMap((task) =>
      task.kind === 'backward' ? tasksOf('backward', task.op, task.part) : [task],
    );
    if (begun([...backward, ...added]) && open(backward)) bytes += outputBytes;
    part.inputs.forEach((region, input) => {
      const tensor = layout.graph.ops[part.op]!.inputs[input]!;
      if (
        region === undefined ||
        layout.graph.tensors[tensor]!.role === 'parameter' ||
        isReadInPlace(layout, part, input)
      )
        return;
      const arrivals = graph.tasks.filter(
        (task) =>
          task.kind === 'transfer' &&
          task.payload === 'activation' &&
          task.consumer === part.op &&
          task.consumerPart === part.index &&
          task.consumerInput === input,
      );
      if (begun([...forward, ...arrivals]) && open(passes(part))) bytes += regionBytes(region);
    });
  }
  return bytes;
}

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
  return { graph, timeline, layout, tensors: liveTensors(graph, timeline, layout) };
}

for (const [name, training] of Object.entries(MODELS)) {
  test(`the memory over time is that of every part asked at every moment, and the static bound is never less: ${name}`, (t) => {
    const cluster = presetCluster('p100x4');
    const large = name === 'resnet';
    fc.assert(
      fc.property(fc.nat(), (seed) => {
        const random = createRandom(seed);
        const strategy =
          random.integer(4) === 0
            ? dataParallel(training.graph, cluster)
            : randomStrategy(training.graph, cluster, random);
        const { graph, timeline, layout, tensors } = live(training, strategy);
        const bound = deviceMemoryBytes(layout, 4);
        for (const memory of memoryTimeline(tensors, 4)) {
          // The bound leaves room for gradients of ops that have none.
          if (name === 'preprocessed') t.true(memory.allBytes <= bound[memory.device]!);
          else t.is(memory.allBytes, bound[memory.device]!);
          t.true(memory.peakBytes <= memory.allBytes);
          t.is(memory.peakBytes, Math.max(...memory.bytes));
          t.is(
            memory.peakOps.reduce((sum, { bytes }) => sum + bytes, 0),
            memory.peakBytes,
          );
          t.is(memory.bytes.at(-1), 0);
          for (let sample = 0; sample < (large ? 2 : 12); sample++) {
            const step = random.integer(memory.timesUs.length);
            const atUs = memory.timesUs[step]!;
            // Parameters are live to the very end, which no task of the twin says.
            if (atUs >= timeline.makespanUs) continue;
            t.is(memory.bytes[step], naiveBytes(graph, timeline, layout, memory.device, atUs));
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

test('on two devices, outputs live until they are sent and used, copies from when they are on their way', (t) => {
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
  t.like(find('fc1', 'output'), {
    device: 0,
    bytes: hiddenBytes,
    fromUs: 0,
    toUs: task('backward', 'fc1').endUs,
  });
  t.like(find('fc1', 'gradient'), {
    device: 0,
    fromUs: task('transfer', '', 'gradient').startUs,
    toUs: task('backward', 'fc1').endUs,
  });
  t.like(find('relu', 'input'), {
    device: 1,
    bytes: hiddenBytes,
    fromUs: task('transfer', '', 'activation').startUs,
    toUs: task('backward', 'relu').endUs,
  });
  // fc2 reads it in place until its own backward pass; relu itself looks at it last.
  t.like(find('relu', 'output'), { fromUs: task('forward', 'relu').startUs, toUs: task('backward', 'relu').endUs });
  t.like(find('relu', 'gradient'), { fromUs: task('backward', 'fc2').startUs, toUs: task('backward', 'relu').endUs });
  // Weight and bias, their gradients and momentum.
  const parameters = tensors.filter((each) => each.op === op('fc1') && each.use === 'parameters');
  t.is(
    parameters.reduce((sum, { bytes }) => sum + bytes, 0),
    3 * 4 * (16 * 32 + 32),
  );
  t.true(parameters.every(({ device, fromUs, toUs }) => device === 0 && fromUs === 0 && toUs === timeline.makespanUs));
});

test('the report says what is missing, and names the ops that need most', (t) => {
  const training = attachLoss(builtinGraph('alexnet', 8192), 'crossEntropy');
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
      ['conv1', 'relu1'],
    );
    t.is(ops.length, 10);
    t.true(ops.every((each, i) => i === 0 || each.neededBytes <= ops[i - 1]!.neededBytes));
  }
});
