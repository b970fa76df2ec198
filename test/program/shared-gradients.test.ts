import test from 'ava';
import { shareGradients } from '../../runtime/collectives/shared-gradients.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { floats } from '../../runtime/program/assembly.ts';
import { DeviceProgram } from '../../runtime/program/device-program.ts';
import { createAnonymousArea, readAnonymousArea } from '../../runtime/transport/anonymous-area.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import type { CollectiveAlgorithm } from '../../soap/tasks/task-graph.ts';
import { devices } from '../support/train-in-memory.ts';
import { sgd } from '../support/sgd.ts';

const onLinux = process.platform === 'linux' ? test : test.skip;
const STEPS = 3;

interface Setting {
  readonly count: number;
  readonly algorithm: CollectiveAlgorithm;
  readonly gradientClipNorm?: number;
  /** Micro-batches of a step; 1 where left out. */
  readonly microBatches?: number;
}

/** Which devices give memory for gradients. */
type Willing = (device: number) => boolean;

/** A net whose middle layer has 149 x 127 weights, which no count of devices divides. */
function network(microBatches: number): ReturnType<typeof attachLoss> {
  const builder = new GraphBuilder();
  const hidden = builder.op('relu', 'relu', [fullyConnected(builder, 'fc1', builder.input('x', [12, 127]), 149)]);
  return attachLoss(
    builder.build('net', [fullyConnected(builder, 'fc2', hidden, 127)]),
    'crossEntropy',
    {},
    microBatches,
  );
}

/** Trains with gradients shared by those who are willing. Returns the weights of each device, its gradients, and bytes sent. */
async function train(
  { count, algorithm, gradientClipNorm, microBatches = 1 }: Setting,
  willing: Willing,
): Promise<{ values: Float32Array[][]; sharedBy: number; sentBytes: number }> {
  const training = network(microBatches);
  const cluster = devices(count);
  const work = planWork(training, dataParallel(training.graph, cluster), cluster, { collectives: [algorithm] });
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  const transports = createMemoryTransports(count);
  const neighbours = new Set(transports.keys());
  const optimizer = sgd({ momentum: 0.9, ...(gradientClipNorm !== undefined && { gradientClipNorm }) });
  const shared = await Promise.all(
    transports.map((transport, device) =>
      shareGradients({ tasks: work.tasks, transport, neighbours, computesOnHost: willing(device) }),
    ),
  );
  const programs = transports.map((transport, device) => {
    const order = work.orders[device]!;
    const weights = initializeWeights(training.graph, 1);
    const sharedGradients = shared[device];
    return new DeviceProgram({
      ...work,
      training,
      order,
      device,
      engine,
      transport,
      optimizer,
      weights,
      sharedGradients,
    });
  });
  const random = createRandom(1);
  for (const { memory } of programs.flatMap(({ dataInputs }) => dataInputs)) {
    for (let i = 0; i < memory.length; i++) {
      if (memory.host instanceof BigInt64Array) memory.host[i] = BigInt(random.integer(127));
      else memory.host[i] = random.normal();
    }
  }
  for (let step = 0; step < STEPS; step++) {
    for (let microBatch = 0; microBatch < microBatches; microBatch++) {
      const pass = step * microBatches + microBatch;
      await Promise.all(programs.map((program) => program.train(pass, { step, learningRate: 0.1, microBatch })));
    }
  }
  const values = await Promise.all(
    programs.map(async (program) => [
      ...[...program.parameters.states].map(({ weight }) => floats(weight.host).slice()),
      ...(await Promise.all(work.layout.shards.map(({ id }) => program.gradient(id)))),
    ]),
  );
  const sentBytes = [...transports[0]!.traffic().values()].reduce((sum, peer) => sum + peer.sentBytes, 0);
  for (const program of programs) program.release();
  engine.close();
  return { values, sharedBy: shared.filter((each) => each !== undefined).length, sentBytes };
}

const SETTINGS: readonly Setting[] = [
  { count: 2, algorithm: 'exchange' },
  { count: 2, algorithm: 'ring', gradientClipNorm: 0.05 },
  { count: 3, algorithm: 'ring' },
  { count: 3, algorithm: 'exchange' },
  { count: 2, algorithm: 'ring', microBatches: 3 },
  { count: 4, algorithm: 'ring', gradientClipNorm: 0.05 },
  { count: 4, algorithm: 'owner' },
];

for (const setting of SETTINGS) {
  const { count, algorithm, gradientClipNorm, microBatches = 1 } = setting;
  const clipped = `${gradientClipNorm === undefined ? '' : ', clipped'}${microBatches > 1 ? ', of micro-batches' : ''}`;
  onLinux(
    `${count} devices that read each other's gradients have the bits of a sum by ${algorithm}${clipped}`,
    async (t) => {
      const sent = await train(setting, () => false);
      const read = await train(setting, () => true);
      t.is(sent.sharedBy, 0);
      t.is(read.sharedBy, count);
      t.true(read.sentBytes < sent.sentBytes / 10, `${read.sentBytes} of ${sent.sentBytes} bytes`);
      t.deepEqual(read.values, sent.values);
      for (const other of read.values) t.deepEqual(other, read.values[0]);
    },
  );
}

onLinux('where one device has no memory to share, all of them send', async (t) => {
  const setting = { count: 3, algorithm: 'ring' } as const;
  const { sharedBy, values } = await train(setting, (device) => device !== 1);
  t.is(sharedBy, 0);
  t.deepEqual(values, (await train(setting, () => false)).values);
});

onLinux('an area is read as written, and nothing else is taken for one', (t) => {
  const area = createAnonymousArea(10_000)!;
  area.bytes.set([1, 2, 3], 9_000);
  const view = readAnonymousArea(area, 10_000);
  t.deepEqual([...view.subarray(8_999, 9_004)], [0, 1, 2, 3, 0]);
  t.throws(() => readAnonymousArea(area, 20_000), { message: 'its shared memory has 10000 bytes; expected 20000' });
  t.throws(() => readAnonymousArea({ pid: process.pid, file: 1 }, 10_000), { message: /is no area$/ });
  area.close();
  t.throws(() => readAnonymousArea(area, 10_000));
  area.bytes[9_000] = 7;
  t.is(view[9_000], 7);
});
