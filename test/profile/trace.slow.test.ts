import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { taskInWords } from '../../soap/explain/task-names.ts';
import { modelParallel } from '../../soap/baselines/index.ts';
import { planWork } from '../../runtime/program/planned-work.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import { decodeSpans } from '../../runtime/profile/recorded-spans.ts';
import { freePorts } from '../support/ports.ts';
import { SOAPSTONE, soapstone } from '../support/soapstone.ts';
import { goldenCase } from '../support/train-in-memory.ts';

interface Event {
  readonly ph: string;
  readonly name: string;
  readonly cat: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly args: { readonly step?: number; readonly name?: string };
}

interface Trace {
  readonly otherData: { readonly source: string };
  readonly traceEvents: readonly Event[];
}

/** What a worker serves once both of its devices have recorded their steps. */
async function spansOfTwo(url: string): Promise<string> {
  for (;;) {
    const text = await fetch(url).then(
      (response) => response.text(),
      () => '{}',
    );
    if (decodeSpans(text, url).size === 2) return text;
    await sleep(50);
  }
}

test('what is no record of spans is refused', (t) => {
  for (const [text, message] of [
    ['<html>', /is not JSON; expected spans/],
    ['{"0":[{"kind":"nap","step":1,"tasks":[],"startMs":1,"endMs":2}]}', /kind/],
    ['{"x":[]}', /x/],
    ['{"0":[{"kind":"wait","step":1,"tasks":[-1],"startMs":1,"endMs":2}]}', /tasks/],
  ] as const)
    t.throws(() => decodeSpans(text, 'spans.json'), { message }, text);
});

test('a run writes a trace in which every task of the plan is in every recorded step, by its simulated name, over the predicted one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(directory, { recursive: true }));
  const [path, planFile, spansFile, again] = ['trace.json', 'plan.json', 'spans.json', 'again.json'].map((name) =>
    join(directory, name),
  );
  const { loaded } = await goldenCase('mlp');
  const cluster = presetCluster('localx2');
  const { graph } = loaded.training;
  const strategy = modelParallel(graph, cluster);
  const problem = { training: loaded.training, cluster, costs: createRooflineCosts() };
  const context = { prediction: evaluate(problem, strategy), baselines: {}, origin: 'model' };
  await writeFile(planFile!, encodePlan(createPlan(problem, strategy, context)));
  const file = new URL('../golden/mlp/job.yaml', import.meta.url).pathname;
  const [port = 0] = await freePorts(1);
  const ports = ['--metrics-port', String(port)];
  const args = [
    'run',
    file,
    '--devices',
    '2',
    '--strategy',
    planFile!,
    '--steps',
    '1000000',
    '--trace',
    path!,
    ...ports,
  ];
  const child = spawn(process.execPath, [SOAPSTONE, ...args], { stdio: 'ignore' });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  t.teardown(() => child.kill('SIGKILL'));
  await writeFile(spansFile!, await spansOfTwo(`http://127.0.0.1:${port}/spans`));
  child.kill('SIGINT');
  t.is(await ended, 130);
  const trace: Trace = JSON.parse(await readFile(path!, 'utf8'));
  t.is(trace.otherData.source, 'measured');

  // What pods serve, laid over the plan elsewhere, is the same trace.
  const explained = ['explain', planFile!, '--job', file, '--trace', again!];
  t.like(await soapstone(...explained, '--measured', spansFile!), { code: 0, stderr: '' });
  t.deepEqual(JSON.parse(await readFile(again!, 'utf8')), trace);
  t.regex(
    (await soapstone('explain', planFile!, '--job', file, '--measured', spansFile!)).stderr,
    /expected --trace FILE too/,
  );
  await writeFile(spansFile!, '{"0":[{"kind":"wait","step":1,"tasks":[123456],"startMs":1,"endMs":2}]}');
  t.regex((await soapstone(...explained, '--measured', spansFile!)).stderr, /tasks beyond the \d+ of the plan/);

  const { tasks } = planWork(loaded.training, strategy, cluster);
  const expected = tasks.tasks.map((task) => taskInWords(task, tasks, graph, cluster));
  const processes = new Map(
    trace.traceEvents.flatMap(({ name, pid, args }) => (name === 'process_name' ? [[args.name, pid]] : [])),
  );
  t.deepEqual([...processes.keys()], ['local', 'local, predicted']);
  const all = trace.traceEvents.filter(({ ph }) => ph === 'X');
  const slices = all.filter(({ pid }) => pid === processes.get('local'));
  const predicted = all.filter(({ pid }) => pid === processes.get('local, predicted'));
  t.is(slices.length + predicted.length, all.length);
  t.deepEqual([...new Set(predicted.map(({ name }) => name))].toSorted(), [...new Set(expected)].toSorted());
  t.is(Math.min(...predicted.map(({ ts }) => ts)), 0, 'both begin at once');
  const steps = [...new Set(slices.map(({ args: { step } }) => step))];
  t.is(steps.length, 10);
  for (const step of steps) {
    const names = slices.filter((each) => each.args.step === step).map(({ name }) => name);
    t.deepEqual(
      expected.filter((name) => !names.includes(name)),
      [],
      `step ${step}`,
    );
  }
  t.true(all.every(({ ts, dur }) => ts >= 0 && dur >= 0));
});
