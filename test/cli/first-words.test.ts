import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { GraphBuilder } from '../../soap/training/builder.ts';
import { exportOnnx } from '../../soap/conversion/export.ts';
import { fullyConnected } from '../../soap/models/layers.ts';
import { initializeWeights } from '../../soap/models/initialize.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { soapstone } from '../support/soapstone.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

test('--version says which this is', async (t) => {
  const { code, stdout } = await soapstone('--version');
  t.is(code, 0);
  t.regex(stdout, /^soapstone \d+\.\d+\.\d+\n$/);
});

test('a misspelt command is refused with the one that was meant', async (t) => {
  const { code, stderr } = await soapstone('pln', '--model', 'lenet');
  t.is(code, 2);
  t.regex(stderr, /^soapstone: there is no command 'pln'; expected run, plan, .*: did you mean plan\?\n$/);
});

test('a folder in place of a file is called one', async (t) => {
  const folder = await temporaryFolder(t);
  for (const args of [
    ['run', folder],
    ['plan', '--onnx', folder],
    ['explain', folder],
  ]) {
    const { code, stderr } = await soapstone(...args);
    t.is(code, 2);
    t.regex(stderr, /^soapstone: cannot read .*: that is a folder, not a file; /);
  }
});

test('a model whose exporter gave it no name of its own is called after its file', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'plan.json');
  const onnx = new URL('../golden/mlp/model.onnx', import.meta.url).pathname;
  const plan = ['plan', '--onnx', onnx, '--cluster', 'p100x2', '--proposals', '5', '--save', file];
  t.regex((await soapstone(...plan)).stdout, /^model .*mlp\/model\.onnx on p100x2$/m);
  t.regex((await soapstone('explain', file)).stdout, /^.*mlp\/model\.onnx on p100x2: one iteration/);
  t.regex((await soapstone(...PLAN)).stdout, /^model lenet on p100x2$/m);
});

test('a file of several documents, and a bound that a number must exceed, are told in sentences', async (t) => {
  const folder = await temporaryFolder(t);
  const [jobs, cluster] = [join(folder, 'jobs.yaml'), join(folder, 'cluster.yaml')];
  await writeFile(jobs, 'kind: TrainingJob\n---\nkind: TrainingJob\n');
  t.regex(
    (await soapstone('run', jobs)).stderr,
    /jobs\.yaml has several documents; expected a TrainingJob: keep each in/,
  );
  await writeFile(jobs, 'a: 1\na: 2\n');
  t.regex(
    (await soapstone('run', jobs)).stderr,
    /jobs\.yaml is not YAML: Map keys must be unique at line 2, column 1; expected a TrainingJob/,
  );
  const group = '{ count: 1, devices: { count: 2, type: H100 }, intraNode: { kind: nvswitch, bandwidthGBps: -1 } }';
  await writeFile(cluster, `name: x\nnodes: [${group}]\n`);
  const { stderr } = await soapstone('plan', '--model', 'lenet', '--cluster', cluster);
  t.regex(stderr, /intraNode\.bandwidthGBps: got -1, expected more than 0: raise it/);
});

test('a model without a job is planned with the loss that is named', async (t) => {
  const loss = async (...args: string[]): Promise<string> => (await soapstone(...PLAN, ...args)).stderr;
  t.regex(await loss('--loss', 'mse'), /--loss is 'mse'; expected crossEntropy or meanSquaredError or/);
  const folder = await temporaryFolder(t);
  const file = join(folder, 'plan.json');
  t.notRegex(await loss('--loss', 'meanSquaredError', '--save', file), /soapstone:/);
  const { training }: { training: { loss: object } } = JSON.parse(await readFile(file, 'utf8'));
  t.deepEqual(training.loss, { name: 'meanSquaredError' });
  t.regex(
    (await soapstone('plan', 'job.yaml', '--loss', 'crossEntropy')).stderr,
    /--loss and --wire are for a model without a job/,
  );
});

const PLAN = ['plan', '--model', 'lenet', '--cluster', 'p100x2', '--proposals', '5'];

test('where the result cannot be written is said before the search begins', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'file'), '');
  const cases: [path: string, message: RegExp][] = [
    [join(folder, 'none', 'plan.json'), /--save is '.*plan\.json'; there is no folder .*none; make it first/],
    [folder, /--save is '.*'; that is a folder; expected the path of a file/],
    [join(folder, 'file', 'plan.json'), /--save is '.*'; there is no folder .*file;/],
  ];
  for (const [path, message] of cases) {
    const { code, stderr } = await soapstone(...PLAN, '--save', path);
    t.is(code, 2);
    t.regex(stderr, message);
    t.notRegex(stderr, /searching/);
  }
  t.deepEqual(await readdir(folder), ['file'], 'nothing is left behind');
});

test('an ONNX file whose classes may be along two axes is not planned, checked or trained until the job says along which', async (t) => {
  const folder = await temporaryFolder(t);
  const builder = new GraphBuilder();
  const graph = builder.build('square', [fullyConnected(builder, 'fc', builder.input('x', [4, 7, 5]), 7)]);
  await writeFile(join(folder, 'model.onnx'), encodeOnnx(exportOnnx({ graph, weights: initializeWeights(graph, 1) })));
  const file = join(folder, 'job.yaml');
  const job = (loss: string): string =>
    `apiVersion: soapstone.dev/v1alpha1\nkind: TrainingJob\nmetadata: { name: square }\nspec:\n  model: { onnx: model.onnx }\n` +
    `  dataset: { synthetic: { samples: 8 } }\n  training: { batchSize: 4, steps: 1, loss: ${loss}, optimizer: { name: sgd, learningRate: 1 } }\n`;
  await writeFile(file, job('{ name: crossEntropy }'));
  for (const command of ['plan', 'check', 'run']) {
    const { code, stderr } = await soapstone(command, file);
    t.is(code, 2);
    t.regex(stderr, /whose classes may be along axis 1, .*; say which by spec\.training\.loss\.classAxis: 1, or 2\n$/);
  }
  for (const axis of [1, 2]) {
    await writeFile(file, job(`{ name: crossEntropy, classAxis: ${axis} }`));
    const { code, stderr } = await soapstone('check', file, '--strategies', '2', '--devices', '2');
    t.is(code, 0, stderr);
  }
});
