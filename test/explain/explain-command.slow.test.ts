import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import test from 'ava';
import { explanationText } from '../../cli/explanation/text.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { SOAPSTONE, soapstone } from '../support/soapstone.ts';

/** A plan file that is kept for older versions. */
const FIXTURE = new URL('../plan/fixtures/plan-v1.json', import.meta.url).pathname;

test('a saved plan is explained as text and as JSON, and for a changed cluster', async (t) => {
  t.timeout(180_000);
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const file = join(directory, 'plan.json');
  await soapstone(
    'plan',
    '--model',
    'lenet',
    '--cluster',
    'p100x8',
    '--batch',
    '64',
    '--proposals',
    '3000',
    '--save',
    file,
  );
  const [page, trace] = [join(directory, 'plan.html'), join(directory, 'plan.trace')];
  const told = await soapstone('explain', file, '--html', page, '--trace', trace);
  t.is(told.code, 0, told.stderr);
  t.regex(told.stdout, /where the time goes on the critical path:\n +compute +[\d.]+ [mu]s +[\d.]+%\n/);
  t.regex(told.stdout, /\n +all devices twice as fast +[\d.]+ ms +\d+ +[+-][\d.]+%\n/);

  t.regex(await readFile(page, 'utf8'), /^<!doctype html>[^]*<title>lenet on p100x8 - Soapstone<\/title>/);
  const { traceEvents, otherData } = JSON.parse(await readFile(trace, 'utf8'));
  t.true(traceEvents.length > 100);
  t.is(otherData.source, 'simulated');

  const whatIf = await soapstone('explain', file, '--what-if', 'nodes+1', '--proposals', '20', '--output', 'json');
  const { whatIf: changed, ops, criticalPath } = JSON.parse(whatIf.stdout);
  t.is(changed.devices, 12);
  t.is(changed.samePlan.iterationMs, changed.now.iterationMs);
  t.true(changed.searched.iterationMs > 0);
  t.is(criticalPath[0].fromUs, 0);
  t.true(ops.every(({ configuration }: { configuration: string }) => / on node\d\/gpu/.test(configuration)));

  const short = await soapstone('explain', file, '--what-if', 'links*1', '--proposals', '1', '--output', 'json');
  const { samePlan, searched } = JSON.parse(short.stdout).whatIf;
  t.true(searched.iterationMs <= samePlan.iterationMs, 'a short search never makes a plan worse');

  const other = await soapstone('explain', file, '--what-if', 'k80x2', '--proposals', '20', '--output', 'json');
  t.is(JSON.parse(other.stdout).whatIf.devices, 2);
});

test('ops that are alike are told together', (t) => {
  const { graph } = builtinModel('dlrm', 64, 1, { rows: '1000-1000-1000-1000', width: 16 });
  const training = attachLoss(graph, 'binaryCrossEntropy');
  const problem = { training, cluster: presetCluster('localx2'), costs: createRooflineCosts() };
  const { explanation } = explain(problem, dataParallel(training.graph, problem.cluster));
  const text = explanationText(explanation);
  const tables = text.split('\n').filter((line) => /^ {2}\S*table/.test(line));
  t.is(tables.length, 1, text);
  t.regex(tables[0]!, /^ {2}table\d, table\d and 2 more, each: samples in 2, on local\/cpu0-1$/);
  const told = [...text.matchAll(/^ {2}(\S+)(?:(?:, \S+)?(?: and (\d+) more|( and \S+))?, each)?: /gm)];
  const count = told.reduce(
    (sum, [, , more, and]) => sum + (more === undefined ? (and === undefined ? 1 : 2) : 2 + Number(more)),
    0,
  );
  const left = Number(/^ {2}and (\d+) more: --output json/m.exec(text)?.[1] ?? 0);
  t.is(count + left, training.graph.ops.length, text);
});

test('bad arguments of explain are answered with a sentence', async (t) => {
  t.timeout(180_000);
  const cases: [string[], RegExp][] = [
    [[], /explain expects one plan file/],
    [['/nowhere/plan.json'], /there is no such file/],
    [[SOAPSTONE], /is not JSON/],
    [[FIXTURE, '--what-if', 'optics*2'], /meets no connection/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await soapstone('explain', ...args);
    t.is(code, 2);
    t.regex(stderr, message);
  }
});
