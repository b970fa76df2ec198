import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { BUILTIN_MODELS } from '../../soap/models/index.ts';
import { soapstone } from '../support/soapstone.ts';

const SMALL_GPT = ['--set', 'layers=1', '--set', 'width=16', '--set', 'heads=2', '--set', 'sequence=8'];

test('models lists every model, and one with its parameters; as JSON too', async (t) => {
  const [all, one, json] = await Promise.all([
    soapstone('models'),
    soapstone('models', 'gpt'),
    soapstone('models', 'dlrm', '--output', 'json'),
  ]);
  for (const { name } of BUILTIN_MODELS) t.regex(all.stdout, new RegExp(`^${name} `, 'm'));
  t.regex(one.stdout, /^gpt: GPT-2/);
  t.regex(one.stdout, /^reads tokens int64 \[N, 1024\], gives \[N, 1024, 50257\]; its loss is crossEntropy$/m);
  t.regex(one.stdout, /^148 ops, 163,037,184 trained numbers$/m);
  t.regex(one.stdout, /^ {2}layers=12 +transformer blocks$/m);
  const { models }: { models: { name: string; parameters: { name: string }[] }[] } = JSON.parse(json.stdout);
  t.is(models[0]!.name, 'dlrm');
  t.true(models[0]!.parameters.some(({ name }) => name === 'rows'));
});

test('plan takes parameters of a built-in model, and simulate finds them in the plan', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  const plan = join(directory, 'plan.json');
  const search = ['--cluster', 'p100x2', '--batch', '4', '--proposals', '20', '--output', 'json'];
  const made = await soapstone('plan', '--model', 'gpt', ...SMALL_GPT, ...search, '--save', plan);
  t.is(made.code, 0, made.stderr);
  const { model, best }: { model: string; best: { iterationMs: number } } = JSON.parse(made.stdout);
  t.is(model, 'gpt');
  const same = await soapstone('simulate', plan, '--output', 'json');
  t.is(same.code, 0, same.stderr);
  const prediction: { iterationMs: number } = JSON.parse(same.stdout);
  t.is(prediction.iterationMs, best.iterationMs);
  const other = await soapstone('simulate', plan, '--set', 'layers=3');
  t.is(other.code, 2);
  t.regex(other.stderr, /is for another model/);
  await rm(directory, { recursive: true });
});

const PLAN_GPT = ['plan', '--model', 'gpt'];
const REFUSALS: readonly [title: string, args: readonly string[], message: RegExp][] = [
  ['an unknown model', ['plan', '--model', 'gtp'], /no built-in model 'gtp'.*did you mean gpt/],
  [
    'an unknown parameter',
    [...PLAN_GPT, '--set', 'layer=2'],
    /layer: unknown parameter; model 'gpt' takes layers, width/,
  ],
  ['a wrong value', [...PLAN_GPT, '--set', 'layers=two'], /of model 'gpt': layers: got "two", expected a whole/],
  ['a setting without a value', [...PLAN_GPT, '--set', 'layers'], /--set is 'layers'; expected key=value/],
  [
    'settings without a built-in model',
    ['plan', 'job.yaml', '--set', 'layers=2'],
    /--set gives parameters to a built-in model; expected the name of one/,
  ],
  ['unrolling without a file', [...PLAN_GPT, '--unroll-steps', '4'], /--unroll-steps is for recurrent layers of ONNX/],
  ['an unknown model to list', ['models', 'gtp'], /no built-in model 'gtp'/],
  ['two models to list', ['models', 'gpt', 'bert'], /at most one name/],
];

for (const [title, args, message] of REFUSALS) {
  test(`${title}: a sentence, exit code 2, no stack trace`, async (t) => {
    const { code, stderr } = await soapstone(...args);
    t.is(code, 2, stderr);
    t.regex(stderr, message);
    t.notRegex(stderr, /^\s+at .*:\d+:\d+/m);
  });
}
