import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { taskInWords } from '../../soap/explain/task-names.ts';
import { modelParallel } from '../../soap/strategy/baselines/index.ts';
import { planWork } from '../../runtime/worker/load-job.ts';
import { SOAPSTONE } from '../support/soapstone.ts';
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

test('a run writes a trace in which every task of the plan is in every recorded step, by its simulated name, over the predicted one', async (t) => {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  const path = join(directory, 'trace.json');
  const { loaded } = await goldenCase('mlp');
  const file = new URL('../golden/mlp/job.yaml', import.meta.url).pathname;
  const args = ['run', file, '--devices', '2', '--strategy', 'model', '--steps', '20', '--trace', path];
  await promisify(execFile)(process.execPath, [SOAPSTONE, ...args]);
  const trace: { otherData: { source: string }; traceEvents: Event[] } = JSON.parse(await readFile(path, 'utf8'));
  await rm(directory, { recursive: true });
  t.is(trace.otherData.source, 'measured');
  const cluster = presetCluster('localx2');
  const { graph } = loaded.training;
  const { tasks } = planWork(loaded.training, modelParallel(graph, cluster), cluster);
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
