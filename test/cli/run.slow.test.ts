import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { decodeSafetensors, encodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { childrenOf } from '../support/children-of.ts';
import { SOAPSTONE } from '../support/soapstone.ts';
import { goldenCase, relativeError } from '../support/train-in-memory.ts';

const GOLDEN = new URL('../golden/', import.meta.url).pathname;

interface Run {
  readonly child: ChildProcess;
  readonly done: Promise<{ code: number | null; stdout: string; stderr: string }>;
}

function start(...args: string[]): Run {
  const child = spawn(process.execPath, [SOAPSTONE, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
  child.stderr.on('data', (data: Buffer) => (stderr += data.toString()));
  const done = new Promise<{ code: number | null; stdout: string; stderr: string }>((resolve) => {
    child.once('close', (code) => resolve({ code, stdout, stderr }));
  });
  return { child, done };
}

/** A copy of golden mlp that trains `steps` steps and writes checkpoints. */
async function mlp(steps: number): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  await cp(join(GOLDEN, 'mlp'), directory, { recursive: true });
  const job = await readFile(join(directory, 'job.yaml'), 'utf8');
  const checkpoint = '  checkpoint: { directory: checkpoints, everySteps: 10, keep: 2 }\n';
  await writeFile(join(directory, 'job.yaml'), job.replace('steps: 20', `steps: ${steps}`) + checkpoint);
  return directory;
}

test('a job on two processes gives the losses of PyTorch, a checkpoint and a model; a second run resumes', async (t) => {
  const directory = await mlp(20);
  const golden = await goldenCase('mlp');
  const job = join(directory, 'job.yaml');
  const whole = await start('run', job, '--devices', '2', '--strategy', 'model', '--output', 'json').done;
  t.is(whole.code, 0, whole.stderr);
  const result: { losses: number[]; model: string; transferredBytes: number } = JSON.parse(whole.stdout);
  t.true(relativeError(result.losses, golden.losses) <= 1e-5);
  t.true(result.transferredBytes > 0);
  t.true(decodeOnnx(await readFile(result.model)).nodes.length > 0);

  const half = await start('run', job, '--devices', '2', '--strategy', 'model', '--steps', '10', '--output', 'json')
    .done;
  t.is(half.code, 0, half.stderr);
  const rest = await start('run', job, '--devices', '2', '--strategy', 'data', '--resume', '--output', 'json').done;
  t.is(rest.code, 0, rest.stderr);
  const resumed: { losses: number[] } = JSON.parse(rest.stdout);
  t.is(resumed.losses.length, 10);
  t.true(relativeError(resumed.losses, golden.losses.slice(10)) <= 1e-5, 'another plan goes on with the same curve');
  await rm(directory, { recursive: true });
});

test('a run that died amid its last checkpoint is finished by the next, and one whose reader has gone trains on', async (t) => {
  const directory = await mlp(20);
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const job = join(directory, 'job.yaml');
  const unread = start('run', job, '--devices', '2', '--strategy', 'data');
  for (const stream of [unread.child.stdout, unread.child.stderr]) stream?.destroy();
  t.is((await unread.done).code, 0);
  const model = join(directory, 'checkpoints', 'trained.onnx');
  await rm(model);
  const again = await start('run', job, '--devices', '2', '--strategy', 'data', '--resume').done;
  t.is(again.code, 0, again.stderr);
  t.regex(again.stderr, /nothing is left to train: .*step-00000020 is after 20 steps, and the job has 20/);
  t.is(again.stdout.split('\n').at(-2), `trained model: ${model}`);
  t.true(decodeOnnx(await readFile(model)).nodes.length > 0);
  const evaluated = `${await readFile(job, 'utf8')}\n  evaluation: { dataset: { safetensors: data.safetensors } }\n`;
  await writeFile(job, evaluated);
  const over = await start('run', job, '--devices', '1', '--strategy', 'single', '--resume', '--steps', '5').done;
  t.regex(over.stderr, /^evaluation after 20 steps: /m, 'of the model that there is, whatever the job asks for');

  const printed = start('models', 'gpt');
  printed.child.stdout?.destroy();
  const { code, stderr } = await printed.done;
  t.deepEqual([code, stderr], [141, '']);
});

test('a run that diverges says so, and keeps the checkpoint from before', async (t) => {
  const directory = await mlp(20);
  t.teardown(() => rm(directory, { recursive: true, force: true }));
  const job = join(directory, 'job.yaml');
  t.is((await start('run', job, '--devices', '2', '--strategy', 'data', '--steps', '10').done).code, 0);
  await writeFile(job, (await readFile(job, 'utf8')).replace('learningRate: 0.05', 'learningRate: 1000000'));
  const args = ['--devices', '2', '--strategy', 'data', '--steps', '40', '--resume'];
  const { code, stdout, stderr } = await start('run', job, ...args).done;
  t.is(code, 1, stderr);
  t.regex(stdout, /^training has diverged: the last loss is no number; lower training\.optimizer\.learningRate/m);
  t.regex(stderr, /training\.optimizer\.learningRate was 0\.05, and is 1000000/);
  t.regex(stderr, /the loss of step 2\d is (NaN|Infinity): training has diverged/);
  const left = (await readdir(join(directory, 'checkpoints'))).filter((name) => name.startsWith('step-'));
  t.deepEqual(left.toSorted(), ['step-00000010', 'step-00000020', 'step-00000040']);

  const data = join(directory, 'data.safetensors');
  const { tensors } = decodeSafetensors(await readFile(data), data);
  for (const tensor of tensors.values()) if (tensor.data instanceof Float32Array) tensor.data.fill(NaN);
  await writeFile(data, Buffer.concat(encodeSafetensors(tensors)));
  const once = ['--devices', '1', '--strategy', 'single', '--steps', '2', '--output', 'json'];
  const never = await start('run', job, ...once).done;
  t.is(never.code, 1);
  const { losses, diverged }: { losses: unknown; diverged: unknown } = JSON.parse(never.stdout);
  t.deepEqual([losses, diverged], [[null, null], true]);
  t.regex(never.stderr, /the loss of step 1 is NaN, before anything was trained: the samples, or the weights/);
});

test('adamw in micro-batches goes on from a checkpoint to the same bits; another optimizer, or other micro-batches, are refused', async (t) => {
  const directory = await mlp(20);
  const job = join(directory, 'job.yaml');
  const text = await readFile(job, 'utf8');
  const [before, after] = [text.slice(0, text.indexOf('    optimizer:')), text.slice(text.indexOf('  devices:'))];
  const optimizer =
    '{ name: adamw, learningRate: 0.002, gradientClipNorm: 1, schedule: { name: step, warmupSteps: 4, everySteps: 8 } }';
  const accumulating = `${before}    gradientAccumulationSteps: 4\n`;
  await writeFile(job, `${accumulating}    optimizer: ${optimizer}\n${after}`);
  const losses = async (...args: string[]): Promise<number[]> => {
    const { code, stdout, stderr } = await start(
      'run',
      job,
      '--devices',
      '2',
      '--strategy',
      'data',
      '--output',
      'json',
      ...args,
    ).done;
    t.is(code, 0, stderr);
    const result: { losses: number[] } = JSON.parse(stdout);
    return result.losses;
  };
  const whole = await losses();
  t.true(whole.at(-1)! < whole[0]!);
  await losses('--steps', '10');
  t.deepEqual(await losses('--resume'), whole.slice(10));

  for (const [changed, sentence] of [
    [text, /was written with gradientAccumulationSteps 4; expected 1 of this job/],
    [
      text.replace('    optimizer:', '    gradientAccumulationSteps: 4\n    optimizer:'),
      /checkpoint .* was written with optimizer adamw; expected sgd of this job: train on as the run that wrote it/,
    ],
  ] as const) {
    await writeFile(job, changed);
    const { code, stderr } = await start('run', job, '--devices', '1', '--strategy', 'single', '--resume').done;
    t.is(code, 2);
    t.regex(stderr, sentence);
  }
  await rm(directory, { recursive: true });
});

test('a device killed in mid-step ends the run with a sentence that names it, and leaves no process behind', async (t) => {
  const directory = await mlp(1_000_000);
  const run = start('run', join(directory, 'job.yaml'), '--devices', '2', '--strategy', 'data');
  let devices: number[] = [];
  for (let i = 0; i < 100 && devices.length < 2; i++) {
    await sleep(100);
    devices = childrenOf(run.child.pid!);
  }
  t.is(devices.length, 2);
  await sleep(1500);
  process.kill(devices[1]!, 'SIGKILL');
  const { code, stderr } = await run.done;
  t.is(code, 2);
  t.regex(stderr, /soapstone: .*device 1/);
  t.notRegex(stderr, /^\s+at .*:\d+:\d+/m);
  for (const pid of devices) t.throws(() => process.kill(pid, 0), { code: 'ESRCH' });
  await rm(directory, { recursive: true });
});
