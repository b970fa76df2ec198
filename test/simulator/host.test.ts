import test from 'ava';
import { batchSizeOf } from '../../soap/training/batch-size.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import type { CostSource } from '../../soap/cost/cost-source.ts';
import type { CostEntry, HostCosts } from '../../soap/cost/cost-table.ts';
import { createCostTable, workKey } from '../../soap/cost/cost-table.ts';
import { createMeasuredCosts, updateOf } from '../../soap/cost/measured.ts';
import type { TaskWork } from '../../soap/cost/task-work.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { createRandom } from '../../soap/random.ts';
import { fitHostCosts } from '../../soap/simulator/host/fit.ts';
import type { HostWork } from '../../soap/simulator/host/items.ts';
import { hostIterationUs, hostWork, hostWorkUs, stretchedWork } from '../../soap/simulator/host/predict.ts';
import { hostPrior } from '../../soap/simulator/host/prior.ts';
import { HostItems } from '../../soap/simulator/host/host-items.ts';
import { coreGroups, ownCores } from '../../soap/simulator/host/own-cores.ts';
import { runItems } from '../../soap/simulator/host/run-items.ts';
import { hostSegments } from '../../soap/simulator/host/segments.ts';
import { SHORT_KERNEL_US } from '../../soap/simulator/host/short-kernels.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { dataParallel, modelParallel, singleDevice } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';
import { layOut } from '../../soap/tasks/layout.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { DeviceProgram } from '../../runtime/program/device-program.ts';
import { Recorder } from '../../runtime/program/recorder.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import { halfFrozen } from '../support/freezing.ts';
import { goldenCase } from '../support/train-in-memory.ts';

const COSTS: HostCosts = hostPrior({ cores: 2, startUs: 10, messages: [] }).costs;

interface Given {
  readonly thread: number;
  readonly us: number;
  readonly after?: readonly number[];
  readonly wakeUs?: number;
}

function items(given: readonly Given[]): HostItems {
  const list = new HostItems();
  for (const { thread, us, wakeUs } of given) list.add(thread, us, wakeUs);
  given.forEach(({ after = [] }, item) => after.forEach((each) => list.order(each, item)));
  return list;
}

test('threads take their items in order, share the cores evenly, and wait for what comes before', (t) => {
  const ends = (given: readonly Given[], cores: number, crowding = 0): number[] =>
    Array.from(runItems(items(given), { groupOf: [0, 0, 0], groups: 1, cores, crowding, sliceUs: 1 }), Math.round);
  const three = [0, 1, 2].map((thread) => ({ thread, us: 10 }));
  t.deepEqual(ends(three, 3), [10, 10, 10]);
  t.deepEqual(ends(three, 1), [28, 29, 30]);
  t.deepEqual(ends([...three.slice(0, 2), { thread: 0, us: 5 }], 2), [10, 10, 15]);
  t.deepEqual(ends([three[0]!, { thread: 1, us: 10, after: [0], wakeUs: 7 }], 2), [10, 27]);
  // Of two unequal threads on one core, the shorter one ends at twice its time, the other has the core alone from then on.
  t.deepEqual(
    ends(
      [
        { thread: 0, us: 10 },
        { thread: 1, us: 30 },
      ],
      1,
    ),
    [19, 40],
  );
  t.deepEqual(ends(three.slice(0, 2), 2, 0.5), [15, 15]);
  t.throws(() => ends([{ thread: 0, us: 1, after: [0] }], 1), { message: /cycle/ });
  // Two threads of one group share its core; the other group's is not theirs.
  const pinned = { groupOf: [0, 0, 1], groups: 2, cores: 1, crowding: 0, sliceUs: 1 };
  t.deepEqual(Array.from(runItems(items(three), pinned), Math.round), [19, 20, 10]);
  t.deepEqual(Array.from(runItems(items(three), { ...pinned, otherCores: 1 }), Math.round), [39, 40, 20]);
});

test('devices have equal shares of the cores, or none of their own', (t) => {
  const shares = (cores: number[], of: number): (readonly number[] | undefined)[] =>
    Array.from({ length: of }, (_, index) => ownCores(cores, { index, of }));
  t.deepEqual(shares([0, 1, 4, 5], 2), [
    [0, 1],
    [4, 5],
  ]);
  t.deepEqual(shares([2, 3], 4), [[2], [3], [2], [3]]);
  t.deepEqual(shares([0, 1], 3), [undefined, undefined, undefined]);
  t.deepEqual(shares([0, 1], 1), [undefined]);
  t.deepEqual(coreGroups(2, 4), { cores: 1, groups: 2, groupOf: [0, 1, 0, 1] });
  t.deepEqual(coreGroups(8, 2), { cores: 4, groups: 2, groupOf: [0, 1] });
  t.deepEqual(coreGroups(2, 3), { cores: 2, groups: 1, groupOf: [0, 0, 0] });
});

test('the segments that are simulated are those that run', async (t) => {
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  for (const [name, isFrozen] of [
    ['mlp', false],
    ['gpt', false],
    ['dlrm', false],
    ['gpt', true],
  ] as const) {
    const { loaded, job } = await goldenCase(name);
    const { model } = loaded;
    const training = isFrozen ? { ...loaded.training, graph: halfFrozen(loaded.training.graph) } : loaded.training;
    const cluster = presetCluster('localx3');
    const strategies = [
      dataParallel(training.graph, presetCluster('localx2')),
      modelParallel(training.graph, cluster),
      ...[1, 2].map((seed) => randomStrategy(training.graph, cluster, createRandom(seed))),
      // Both parts of a softmax on one device.
      randomStrategy(training.graph, presetCluster('localx2'), createRandom(name === 'gpt' ? 2 : 3)),
    ];
    for (const [i, strategy] of strategies.entries()) {
      const { layout, tasks, orders } = planWork(training, strategy, cluster);
      const recorders = cluster.devices.map(() => new Recorder({ skip: 0, count: 1 }));
      const programs = createMemoryTransports(cluster.devices.length).map((transport, device) => {
        const { optimizer } = job.spec.training;
        const work = { training, layout, tasks, order: orders[device]!, device, engine, transport, optimizer };
        return new DeviceProgram({ ...work, weights: model.weights, recorder: recorders[device] });
      });
      recorders.forEach((recorder) => recorder.begin(0));
      await Promise.all(programs.map((program) => program.train(0, { step: 0, learningRate: 0 })));
      recorders.forEach((recorder, device) => {
        const ran = recorder.take().flatMap(({ kind, tasks: ids }) => (kind === 'segment' ? [ids] : []));
        const simulated = hostSegments(layout, tasks, orders[device]!).map(({ steps }) =>
          steps.map(({ task }) => task.id),
        );
        t.deepEqual(simulated, ran, `${name}, strategy ${i}, device ${device}`);
      });
      programs.forEach((program) => program.release());
    }
  }
  engine.close();
});

test('more cores make an iteration on several devices shorter, and never longer than its devices one after the other', async (t) => {
  const { training } = (await goldenCase('cnn')).loaded;
  const at = (devices: number, cores: number, rowUs = 0): number => {
    const cluster = presetCluster(`localx${devices}`);
    const strategy = devices === 1 ? singleDevice(training.graph) : dataParallel(training.graph, cluster);
    const host = { ...COSTS, cores, rowUs };
    const known = {
      deviceType: 'cpu',
      kernels: KERNELS_VERSION,
      measured: '2026-11-26',
      entries: [],
      messages: [],
      host,
    };
    const costs = createMeasuredCosts(createCostTable([known]), { devicesPerHost: devices });
    return hostIterationUs({ training, cluster, costs }, strategy, host);
  };
  t.true(at(4, 2) > 1.3 * at(4, 8));
  t.true(at(2, 2) < at(2, 1));
  t.true(at(1, 2) >= at(1, 1) * 0.999 && at(1, 2) <= at(1, 1));
  // The rows of the next batch are read before the step goes on: images and targets.
  const rows = 2 * batchSizeOf(training);
  for (const rowUs of [5, 500]) t.true(Math.abs(at(1, 2, rowUs) - at(1, 2) - rows * rowUs) < 1e-3 * rows * rowUs);
});

test('every gradient of a device is completed by one of its segments; there is none of what is frozen', async (t) => {
  for (const [name, isFrozen] of [
    ['cnn', false],
    ['gpt', false],
    ['lstm', false],
    ['gpt', true],
  ] as const) {
    const { training: whole } = (await goldenCase(name)).loaded;
    const training = isFrozen ? { ...whole, graph: halfFrozen(whole.graph) } : whole;
    const cluster = presetCluster('localx3');
    for (let seed = 1; seed <= 5; seed++) {
      const strategy = randomStrategy(training.graph, cluster, createRandom(seed));
      const { plan } = hostWork({ training, cluster, costs: createRooflineCosts() }, strategy, COSTS);
      plan.actions.forEach((actions, device) => {
        const completed = actions.flatMap((action) => (action.kind === 'segment' ? action.gradients : []));
        const { shards } = layOut(training, strategy);
        const held = shards.flatMap(({ id, tensor, devices }) =>
          devices.includes(device) && training.graph.tensors[tensor]!.frozen !== true ? [id] : [],
        );
        t.deepEqual(
          plan.shards[device]!.map(({ id }) => id),
          held,
        );
        t.deepEqual(
          completed.toSorted((a, b) => a - b),
          held,
          `${name}, seed ${seed}, device ${device}`,
        );
      });
    }
  }
});

test('each micro-batch takes its segments and adds its gradients up; only the last one is followed by sums and updates', async (t) => {
  const { training } = (await goldenCase('mlp')).loaded;
  const costs = { ...COSTS, crowding: 0 };
  const work = (devices: number, accumulationSteps: number): HostWork => {
    // Micro-batches of the same size, whatever their number.
    const step = { ...training, accumulationSteps };
    const cluster = presetCluster(`localx${devices}`);
    const strategy = devices === 1 ? singleDevice(step.graph) : dataParallel(step.graph, cluster);
    return hostWork({ training: step, cluster, costs: createRooflineCosts() }, strategy, COSTS);
  };
  for (const devices of [1, 2]) {
    const [one, two, three, four, eight] = [1, 2, 3, 4, 8].map((count) => hostWorkUs(work(devices, count), costs));
    t.true(two! > one! && three! > two!);
    const more = four! - three!;
    t.true(Math.abs(eight! - three! - 5 * more) < 1e-6 * eight!, 'those in between are alike');
    t.true(Math.abs(three! - two! - more) < 0.02 * more);
  }
  for (const count of [1, 2, 3, 6]) {
    const whole = work(1, count);
    const growth = (change: Partial<HostWork>): number =>
      hostWorkUs({ ...whole, ...change }, costs) - hostWorkUs(whole, costs);
    const [ofUpdates, shards] = [new Set<number>(), whole.plan.shards[0]!.length];
    for (const action of whole.plan.actions[0]!) if (action.kind === 'update') ofUpdates.add(action.task);
    const longer = (us: number): number => us + 10;
    const sums = count === 1 ? 0 : count * shards * 10;
    t.true(Math.abs(growth({ accumulateUs: whole.accumulateUs.map(longer) }) - sums) < 1e-6);
    const updates = whole.taskUs.map((us, task) => (ofUpdates.has(task) ? longer(us) : us));
    t.true(Math.abs(growth({ taskUs: updates }) - shards * 10) < 1e-6);
    const tasks = whole.taskUs.map((us, task) => (ofUpdates.has(task) ? us : longer(us)));
    t.true(Math.abs(growth({ taskUs: tasks }) - count * 10 * (tasks.length - ofUpdates.size)) < 1e-6);
  }
});

test('where gradients are clipped, squares are summed and updates wait for what all devices know', async (t) => {
  const { training } = (await goldenCase('lstm')).loaded;
  const work = (devices: number, clipsGradients: boolean): HostWork => {
    const cluster = presetCluster(`localx${devices}`);
    const strategy = devices === 1 ? singleDevice(training.graph) : dataParallel(training.graph, cluster);
    return hostWork({ training, cluster, costs: createRooflineCosts(), clipsGradients }, strategy, COSTS);
  };
  const sum = (list: Iterable<number>): number => [...list].reduce((a, b) => a + b, 0);
  const costs = { ...COSTS, crowding: 0 };
  const alone = work(1, true);
  const growth = hostWorkUs(alone, costs) - hostWorkUs({ ...alone, plan: work(1, false).plan }, costs);
  // Short ones run on the thread that asks: they are not handed to another.
  const away = alone.squaresUs.filter((us) => us + COSTS.updateUs + COSTS.handUs! >= SHORT_KERNEL_US).length;
  const expected = sum(alone.squaresUs) + alone.squaresUs.length * COSTS.updateUs + away * COSTS.handUs!;
  t.true(Math.abs(growth - expected) < 1e-6 * expected, `${growth}, expected ${expected}`);
  // On two devices each waits besides for the other's word, which comes after its last sum.
  const [clipped, free] = [work(2, true), work(2, false)];
  const later = hostWorkUs(clipped, costs) - hostWorkUs({ ...clipped, plan: free.plan }, costs);
  t.true(later > costs.messageUs + costs.receiveUs, String(later));
  const counted = clipped.plan.shards.flatMap((shards) =>
    shards.flatMap(({ id, countsSquares }) => (countsSquares ? [id] : [])),
  );
  t.deepEqual(
    counted.toSorted((a, b) => a - b),
    Array.from(clipped.squaresUs.keys()),
    'each shard is squared by one device',
  );
});

/** An entry for each distinct piece of work that a strategy has, of 100 us and more. */
function entriesOf(training: TrainingGraph, cluster: Cluster, strategy: Strategy): CostEntry[] {
  const works = new Map<string, TaskWork>();
  const roofline = createRooflineCosts();
  const costs: CostSource = {
    ...roofline,
    durationUs(work, device) {
      const known = updateOf(work, 'sgd');
      works.set(workKey(known), known);
      return roofline.durationUs(work, device);
    },
  };
  hostWork({ training, cluster, costs }, strategy, COSTS);
  return [...works.values()].map((work, i) => ({ ...work, us: 100 + i, spread: 0 }));
}

test('work that is stretched is what costs with these shares lay out', async (t) => {
  const { training } = (await goldenCase('mlp')).loaded;
  const cluster = presetCluster('localx4');
  const strategy = dataParallel(training.graph, cluster);
  const entries = entriesOf(training, cluster, strategy);
  const { updateShare: _, ...costsOfHost } = COSTS;
  const host = { ...costsOfHost, updateUs: 0 };
  const layOut = (taskShare: number, updateShare?: number): HostWork => {
    const table = createCostTable([
      {
        deviceType: LOCAL_CPU.type,
        kernels: KERNELS_VERSION,
        measured: '2026-11-28T00:00:00Z',
        entries,
        messages: [],
        host: { ...host, taskShare, ...(updateShare !== undefined && { updateShare }) },
      },
    ]);
    const costs = createMeasuredCosts(table, { devicesPerHost: 4 });
    return hostWork({ training, cluster, costs }, strategy, host);
  };
  const alone = layOut(1, 1);
  for (const [taskShare, updateShare] of [
    [1.5, 0.8],
    [1.5, undefined],
  ] as const) {
    const stretched = stretchedWork(alone, { taskShare, ...(updateShare !== undefined && { updateShare }) });
    const direct = layOut(taskShare, updateShare);
    for (const key of ['taskUs', 'accumulateUs', 'squaresUs'] as const)
      direct[key].forEach((us, i) => t.true(Math.abs(us - stretched[key][i]!) < 1e-9 * Math.max(1, us), `${key} ${i}`));
  }
});

test('a fit finds the costs that iterations were made with', async (t) => {
  const { training } = (await goldenCase('mlp')).loaded;
  const prior = hostPrior({ cores: 2, startUs: 10, messages: [] });
  const truth = { ...prior.costs, kernelUs: 50, handUs: 60, messageUs: 60, stepUs: 120, taskShare: 1.2 };
  const samples = [2, 4].flatMap((devices) => {
    const cluster = presetCluster(`localx${devices}`);
    const strategies = [
      dataParallel(training.graph, cluster),
      ...[1, 2, 3].map((seed) => randomStrategy(training.graph, cluster, createRandom(seed))),
    ];
    return strategies.map((strategy) => {
      const work = hostWork({ training, cluster, costs: createRooflineCosts() }, strategy, {
        ...prior.costs,
        updateUs: 0,
      });
      const predictUs = (host: HostCosts): number =>
        hostWorkUs({ ...work, taskUs: work.taskUs.map((us) => us * host.taskShare) }, host);
      return { measuredUs: predictUs(truth), predictUs };
    });
  });
  const fitted = fitHostCosts(samples, prior);
  for (const { measuredUs, predictUs } of samples) {
    t.true(Math.abs(predictUs(fitted) / measuredUs - 1) < 0.03);
    t.true(Math.abs(predictUs(prior.costs) / measuredUs - 1) > 0.03);
  }
});
