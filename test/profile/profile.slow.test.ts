import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { decodeCostTable, workKey } from '../../soap/cost/cost-table.ts';
import { updateOf } from '../../soap/cost/measured.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel, modelParallel } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';
import { layOut, hasBackward, wantedGradients } from '../../soap/tasks/layout.ts';
import { gradientHandling, shardWork } from '../../soap/tasks/gradient-work.ts';
import { partWork, regionBytes } from '../../soap/tasks/work.ts';
import { createOnnxRuntimeEngine } from '../../runtime/kernels/onnxruntime/engine.ts';
import { readyTogether } from '../../runtime/profile/measure-kernel.ts';
import { profileKernels } from '../../runtime/profile/profile-kernels.ts';
import { shardKernels, workKernels } from '../../runtime/profile/work-kernels.ts';
import { SOAPSTONE } from '../support/soapstone.ts';
import { goldenCase, inMicroBatches } from '../support/train-in-memory.ts';

const JOB = new URL('../golden/mlp/job.yaml', import.meta.url).pathname;
const AS_JSON = ['--output', 'json'];

async function soapstone(...args: string[]): Promise<string> {
  return (await promisify(execFile)(process.execPath, [SOAPSTONE, ...args])).stdout;
}

/** A profile into a table. Returns how many kernels were measured. */
async function profile(path: string, ...options: string[]): Promise<number> {
  const { measured }: { measured: number } = JSON.parse(
    await soapstone('profile', JOB, '--save', path, '--output', 'json', ...options),
  );
  return measured;
}

test('the kernels that are measured are those of every strategy on so many devices', async (t) => {
  for (const name of ['mlp', 'cnn', 'gpt', 'resnet']) {
    const { loaded, job } = await goldenCase(name);
    const { graph } = loaded.training;
    const cluster = presetCluster('localx4');
    const known = new Set(
      workKernels(loaded.training, 4, job.spec.training.optimizer).map(({ work }) => workKey(work)),
    );
    const strategies = [dataParallel(graph, cluster), modelParallel(graph, cluster)];
    for (let seed = 1; seed <= 5; seed++) strategies.push(randomStrategy(graph, cluster, createRandom(seed)));
    for (const strategy of strategies) {
      const layout = layOut({ graph }, strategy);
      for (const part of layout.parts.flat()) {
        const op = graph.ops[part.op]!;
        const wants = wantedGradients(layout, op);
        t.true(known.has(workKey(partWork(part, op, 'forward', wants))), `${name}: ${op.name}`);
        if (hasBackward(layout, part)) t.true(known.has(workKey(partWork(part, op, 'backward', wants))), op.name);
      }
    }
  }
});

test('so are the kernels of gradients: updates, and what micro-batches and clipping take beside them', async (t) => {
  const engine = createOnnxRuntimeEngine({ threads: 1 });
  const cases = [
    { name: 'mlp', microBatches: 1, directions: ['update'] },
    { name: 'mlp', microBatches: 4, directions: ['update', 'accumulate'] },
    { name: 'lstm', microBatches: 1, directions: ['scaled update', 'accumulate', 'squares'] },
  ];
  for (const { name, microBatches, directions } of cases) {
    const { loaded, job } = await inMicroBatches(await goldenCase(name), microBatches);
    const { training } = loaded;
    const { optimizer } = job.spec.training;
    const kernels = workKernels(training, 4, optimizer).filter(({ work }) => work.direction === 'update');
    const known = new Map(kernels.map((kernel) => [workKey(kernel.work), kernel]));
    const kinds = new Set(kernels.map(({ work }) => work.signature.replace(`${optimizer.name} `, '').split('(')[0]!));
    t.deepEqual([...kinds].toSorted(), directions.toSorted(), name);
    const cluster = presetCluster('localx4');
    const handling = gradientHandling(training, { clipsGradients: optimizer.gradientClipNorm !== undefined });
    for (const { region } of layOut(training, dataParallel(training.graph, cluster)).shards) {
      for (const work of shardWork(regionBytes(region), handling, 'last', true)) {
        const kernel = known.get(workKey(updateOf(work, optimizer.name)));
        for (const concurrency of [1, 2]) {
          const ready = kernel && (await readyTogether(engine, kernel.graphs({ ...engine, concurrency }), concurrency));
          t.not(ready, undefined, work.signature);
          await ready?.bound.run();
          ready?.release();
        }
      }
    }
  }
  engine.close();
});

test('an update is timed as so many runs at once as the runtime takes, which change each weight once', async (t) => {
  const { loaded, job } = await goldenCase('mlp');
  const runs = (elements: number, concurrency: number): number[] => {
    const [update] = shardKernels(elements, loaded.training, job.spec.training.optimizer);
    return update!.graphs({ concurrency, cut: (buffer) => buffer }).map(({ inputs }) => {
      const weights = inputs.filter(({ name }) => name.startsWith('weight'));
      return weights.reduce((sum, { shape }) => sum + Number(shape[0]), 0);
    });
  };
  t.deepEqual(runs(200_000, 1), [200_000]);
  t.deepEqual(runs(200_000, 2), [131_072, 68_928]);
  t.deepEqual(runs(200_000, 4), [65_536, 65_536, 65_536, 3392]);
  t.deepEqual(runs(3_000_000, 2), [1_048_576, 1_048_576, 902_848]);
  t.deepEqual(runs(100, 4), [100]);
  const [update] = shardKernels(200_000, loaded.training, job.spec.training.optimizer);
  const [whole, ...others] = update!.graphs({});
  t.deepEqual([whole!.inputs.filter(({ name }) => name.startsWith('weight')).length, others], [1, []]);
});

test('a signal ends a profile of kernels with what there is, where no terminal tells its process', async (t) => {
  const { loaded, job } = await goldenCase('gpt');
  const { optimizer } = job.spec.training;
  const abort = new AbortController();
  const { missing } = await profileKernels(
    {
      training: loaded.training,
      devices: 8,
      optimizer,
      known: [],
      limitMs: 600_000,
      engine: { provider: 'cpu', threads: 1 },
    },
    () => abort.abort(),
    abort.signal,
  );
  t.true(missing > 0);
});

test('what another profile wrote meanwhile into the same table stays in it', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-profile-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const path = join(folder, 'costs.json');
  const options = ['--devices', '1', '--kernels', '--seconds', '1'];
  await profile(path, ...options);
  const { devices, ...head }: { devices: object[] } = JSON.parse(await readFile(path, 'utf8'));
  const own = devices.map((device) => ({ ...device, deviceType: 'other' }));
  await rm(path);
  const running = promisify(execFile)(process.execPath, [SOAPSTONE, 'profile', JOB, '--save', path, ...options]);
  // Once it measures, it has read what there was.
  await new Promise((resolve) => running.child.stderr!.once('data', resolve));
  await writeFile(path, JSON.stringify({ ...head, devices: own }));
  await running;
  const table = decodeCostTable(await readFile(path, 'utf8'), path);
  t.deepEqual(table.devices.map(({ deviceType }) => deviceType).toSorted(), ['cpu', 'other']);
});

test('a profile writes a table; a second one measures only what is missing; a plan says what share rests on it', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  const path = join(directory, 'costs.json');
  const kernels = (seconds: string): Promise<number> => profile(path, '--kernels', '--seconds', seconds);
  const first = await kernels('0.2');
  const known = decodeCostTable(await readFile(path, 'utf8')).devices[0]!.entries;
  t.true(first > 0);
  t.is(known.length, first);
  t.true(known.every(({ us, spread }) => us > 0 && spread >= 0));
  const second = await kernels('100');
  t.is(decodeCostTable(await readFile(path, 'utf8')).devices[0]!.entries.length, first + second);
  t.is(await kernels('100'), 0);
  const planned = await soapstone('plan', JOB, '--cluster', 'local', '--costs', path, '--proposals', '40', ...AS_JSON);
  const { costs }: { costs: Record<string, number> } = JSON.parse(planned);
  t.true(costs['measured']! > 0, JSON.stringify(costs));
  t.is(costs['roofline'], 0);
  await profileHost(t, path);
  await rm(directory, { recursive: true });
});

/** What a table of kernels lacks for a whole profile: messages and the costs of the host, which a run predicts with. */
async function profileHost(t: ExecutionContext, path: string): Promise<void> {
  // Some fifteen runs of a few seconds each.
  t.timeout(600_000);
  t.is(await profile(path, '--rounds', '1'), 0);
  const { messages, host } = decodeCostTable(await readFile(path, 'utf8')).devices[0]!;
  t.true(messages.length >= 4 && messages.every(({ us }) => us > 0));
  t.true(host!.kernelUs > 0 && host!.messageUs > 0);
  const predicted = async (...options: string[]): Promise<number> => {
    const output = await soapstone('run', JOB, '--devices', '2', '--strategy', 'data', ...AS_JSON, ...options);
    const { predictedIterationMs }: { predictedIterationMs: number } = JSON.parse(output);
    return predictedIterationMs;
  };
  // A machine may be faster or slower than the data sheet that a run predicts by without a table.
  const [measured, again, bySheet] = [
    await predicted('--costs', path),
    await predicted('--costs', path),
    await predicted(),
  ];
  t.is(measured, again);
  t.not(measured, bySheet);
}
