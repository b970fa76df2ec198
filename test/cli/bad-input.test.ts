import { existsSync } from 'node:fs';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { soapstone } from '../support/soapstone.ts';

const GOLDEN = new URL('../golden/', import.meta.url).pathname;

/** A copy of golden mlp whose job is changed. */
async function mlp(change: (job: string) => string = (job) => job): Promise<{ directory: string; job: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  await cp(join(GOLDEN, 'mlp'), directory, { recursive: true });
  const job = join(directory, 'job.yaml');
  await writeFile(job, change(await readFile(job, 'utf8')));
  return { directory, job };
}

const CASES: [string, (job: string) => string, string[], RegExp[]][] = [
  [
    'an unknown field and a wrong type are reported together, with their paths',
    (job) => job.replace('batchSize: 64', 'batchSize: many').replace('steps: 20', 'steps: 20\n    stepz: 1'),
    [],
    [/spec\.training\.batchSize.*many/, /stepz/],
  ],
  ['a missing model', (job) => job.replace('model.onnx', 'other.onnx'), [], [/other\.onnx.*no such file/]],
  [
    'a model outside of storage',
    (job) => job.replace('model.onnx', '../../etc/passwd'),
    [],
    [/leads out of the job's storage/],
  ],
  [
    'a missing data set',
    (job) => job.replace('data.safetensors', 'none.safetensors'),
    ['--strategy', 'single', '--devices', '1'],
    [/none\.safetensors.*no such file/],
  ],
  [
    'a wish to go on where nothing was kept',
    (job) => job,
    ['--resume'],
    [/^soapstone: --resume goes on from a checkpoint, and the job keeps none; expected spec\.checkpoint/],
  ],
  [
    'a missing data set, before an hour of search',
    (job) => job.replace('data.safetensors', 'none.safetensors').replace(/seconds: .*/, 'seconds: 3600'),
    [],
    [/^soapstone: [^\n]*none\.safetensors.*no such file/],
  ],
  [
    'an evaluation that does not fit, before an hour of search',
    (job) => `${job.replace(/seconds: .*/, 'seconds: 3600')}\n  evaluation: { dataset: { safetensors: model.onnx } }\n`,
    [],
    [/^soapstone: [^\n]*model\.onnx/],
  ],
  [
    'a checkpoint directory that is a file, before an hour of search',
    (job) =>
      `${job.replace(/seconds: .*/, 'seconds: 3600')}\n  checkpoint: { directory: model.onnx/kept, everySteps: 5 }\n`,
    [],
    [
      /^soapstone: spec\.checkpoint\.directory is 'model\.onnx\/kept', and \S*\/model\.onnx is a file; expected a folder/,
    ],
  ],
  [
    'more devices than there are',
    (job) => job.replace('min: 1', 'min: 4').replace('max: 4', 'max: 4096').replace('min: 4', 'min: 4096'),
    [],
    [/at least 4096 devices/],
  ],
  ['a plan file that does not exist', (job) => job, ['--strategy', 'nowhere.json'], [/nowhere\.json.*no such file/]],
  [
    'a number of devices that is none',
    (job) => job,
    ['--devices', 'two'],
    [/--devices is 'two'; expected a whole number/],
  ],
  [
    'a batch that cannot be split',
    (job) => job.replace('batchSize: 64', 'batchSize: 63'),
    ['--strategy', 'data', '--devices', '2'],
    [/batch of 63 samples cannot be split over 2 devices.*multiple of 2.*--devices 1/],
  ],
  ['an unknown option', (job) => job, ['--xyzzyx'], [/there is no option '--xyzzyx' \(soapstone run --help lists/]],
  [
    'misspelt options, all at once, with what was meant',
    (job) => job,
    ['--stpes', '3', '--deviecs=2', '--steps', '1'],
    [/there is no option '--stpes': did you mean --steps\?; there is no option '--deviecs': did you mean --devices\?/],
  ],
  [
    'an unknown provider',
    (job) => job,
    ['--provider', 'tpu'],
    [/--provider is 'tpu'; expected one of auto, cpu, webgpu, cuda, reference/],
  ],
  [
    'a provider that is not here',
    (job) => job.replace('batchSize: 64', 'batchSize: 64\n    kernels: cuda'),
    ['--strategy', 'single', '--devices', '1'],
    [/^soapstone: there is no CUDA device here \(the library.*is missing\): put .*run with --provider webgpu or cpu/],
  ],
  [
    'a provider that is not here, asked for by an option, before any search',
    (job) => job,
    ['--provider', 'cuda'],
    [/^soapstone: there is no CUDA device here \(the library.*is missing\)/],
  ],
];

test('a cost table whose folder cannot be made is refused before anything is measured', async (t) => {
  const { directory, job } = await mlp();
  const { code, stderr } = await soapstone('profile', job, '--save', join(directory, 'model.onnx', 'costs.json'));
  t.is(code, 2);
  t.regex(
    stderr,
    /^soapstone: the cost table goes into \S*model\.onnx, which cannot be made: .*: name the table by --save FILE, or set XDG/,
  );
});

for (const [title, change, args, messages] of CASES) {
  test(`${title}: a sentence, exit code 2, no stack trace`, async (t) => {
    const { directory, job } = await mlp(change);
    const { code, stderr } = await soapstone('run', job, ...args);
    t.is(code, 2, stderr);
    for (const message of messages) t.regex(stderr, message);
    t.notRegex(stderr, /^\s+at .*:\d+:\d+/m);
    await rm(directory, { recursive: true });
  });
}

test('a truncated model is named as such', async (t) => {
  const { directory, job } = await mlp();
  const model = join(directory, 'model.onnx');
  await writeFile(model, (await readFile(model)).subarray(0, 5000));
  const { code, stderr } = await soapstone('run', job);
  t.is(code, 2);
  t.regex(stderr, /model\.onnx.*(not a complete ONNX file|truncated|damaged)/);
  await rm(directory, { recursive: true });
});

test('an op that is not supported is named with its node', async (t) => {
  const { directory, job } = await mlp();
  const model = join(directory, 'model.onnx');
  const graph = decodeOnnx(await readFile(model));
  const nodes = graph.nodes.map((node) => (node.opType === 'Tanh' ? { ...node, opType: 'NonMaxSuppression' } : node));
  await writeFile(model, encodeOnnx({ ...graph, nodes }));
  const { code, stderr } = await soapstone('run', job);
  t.is(code, 2);
  t.regex(stderr, /model\.onnx.*net\.3.Tanh.*NonMaxSuppression/s);
  await rm(directory, { recursive: true });
});

test('a data set whose shape does not fit the model is named with both shapes', async (t) => {
  const { directory, job } = await mlp();
  await cp(join(GOLDEN, 'cnn/data.safetensors'), join(directory, 'data.safetensors'));
  const { code, stderr } = await soapstone('run', job, '--strategy', 'single', '--devices', '1', '--steps', '1');
  t.is(code, 2);
  t.regex(stderr, /x: has samples of float32 \[1,28,28\]; expected float32 \[784\]/);
  await rm(directory, { recursive: true });
});

test('a plan for another model is refused with the difference', async (t) => {
  const { directory, job } = await mlp();
  const plan = join(directory, 'plan.json');
  const made = await soapstone('plan', '--model', 'lenet', '--cluster', 'local', '--seconds', '0.2', '--save', plan);
  t.is(made.code, 0, made.stderr);
  const { code, stderr } = await soapstone('run', job, '--strategy', plan);
  t.is(code, 2);
  t.regex(stderr, /lacks .*Gemm/);
  await rm(directory, { recursive: true });
});

test('a taken metrics port is named with the cure, before an hour of search', async (t) => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const { directory, job } = await mlp((text) => text.replace(/seconds: .*/, 'seconds: 3600'));
  const { code, stderr } = await soapstone('run', job, '--metrics-port', String(port));
  t.is(code, 2);
  t.regex(stderr, new RegExp(`${port}.*another process has the port`));
  server.close();
  await rm(directory, { recursive: true });
});

test('a form of output that there is not is named before long work, not after it', async (t) => {
  const { directory, job } = await mlp();
  const save = join(directory, 'saved.json');
  const commands = [
    ['profile', job, '--save', save],
    ['plan', '--model', 'lenet', '--cluster', 'local', '--seconds', '3600', '--save', save],
    ['check', 'lenet'],
    ['run', job],
  ];
  for (const command of commands) {
    const { code, stdout, stderr } = await soapstone(...command, '--output', 'table.json');
    t.deepEqual([code, stdout], [2, '']);
    t.regex(stderr, /^soapstone: --output is 'table\.json'; expected text or json \(soapstone \w+ --help/);
  }
  t.false(existsSync(save));
  await rm(directory, { recursive: true });
});
