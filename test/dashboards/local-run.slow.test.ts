import { spawn } from 'node:child_process';
import { cp, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { parse, stringify } from 'yaml';
import { RUNTIME_METRICS } from '../../runtime/metrics/metric-names.ts';
import { freePorts } from '../support/ports.ts';
import { SOAPSTONE } from '../support/soapstone.ts';
import { HAS_PROMETHEUS, startPrometheus } from './prometheus.ts';
import { allQuestions, metricsIn, unanswered } from './questions.ts';

const GOLDEN = new URL('../golden/mlp', import.meta.url).pathname;

/** A copy of golden mlp that trains until it is stopped, with evaluations and checkpoints. */
async function endlessJob(): Promise<{ readonly folder: string; readonly job: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-dashboards-'));
  await cp(GOLDEN, folder, { recursive: true });
  const job = join(folder, 'job.yaml');
  const { spec, ...rest }: { spec: Record<string, unknown> } = parse(await readFile(job, 'utf8'));
  Object.assign(spec['training'] ?? {}, { steps: 1e7 });
  const evaluation = { dataset: spec['dataset'], everySteps: 50 };
  const checkpoint = { directory: 'checkpoints', everySteps: 100, keep: 2 };
  await writeFile(job, stringify({ ...rest, spec: { ...spec, evaluation, checkpoint } }));
  return { folder, job };
}

/** It takes half a minute, so that rates have something to go by. */
const run = HAS_PROMETHEUS ? test : test.skip;

run('a run without a cluster fills every panel that is about training alone', async (t) => {
  const beganMs = performance.now();
  const { folder, job } = await endlessJob();
  const [port = 0] = await freePorts(1);
  const args = ['run', job, '--devices', '2', '--strategy', 'data', '--metrics-port', String(port)];
  const child = spawn(process.execPath, [SOAPSTONE, ...args], { stdio: ['ignore', 'ignore', 'pipe'] });
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said = `${said}${data.toString()}`.slice(-2000)));
  const ended = new Promise((resolve) => child.once('exit', resolve));
  t.teardown(async () => {
    child.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true });
  });
  const prometheus = await startPrometheus([{ job_name: 'run', static_configs: [{ targets: [`127.0.0.1:${port}`] }] }]);
  t.teardown(() => prometheus.stop());
  const questions = allQuestions('mlp').filter(({ expr }) => metricsIn(expr).every((name) => name in RUNTIME_METRICS));
  t.true(questions.length > 30, `${questions.length} questions`);
  t.deepEqual(await unanswered(prometheus, questions, beganMs), [], said);
  // Beside an answer, the right kind of one: two devices that compute, talk and wait, within the time there is.
  for (const [expr, least, most] of [
    ['soapstone_device_compute_seconds_total', 1e-3, Infinity],
    ['soapstone_device_collective_seconds_total', 1e-3, Infinity],
    ['soapstone_predicted_device_compute_seconds', 1e-6, 1],
    ['soapstone_predicted_device_collective_seconds', 1e-6, 1],
    ['soapstone_peer_wait_seconds_total', 1e-3, Infinity],
    ['soapstone_link_sent_bytes_total{link=~"node .* GB/s"}', 1e5, Infinity],
    [
      '(soapstone_device_compute_seconds_total + soapstone_device_wait_seconds_total) / soapstone_iteration_seconds_sum',
      0.1,
      1.01,
    ],
  ] as const) {
    const answers = await prometheus.query(expr);
    t.is(answers.length, 2, expr);
    for (const { values } of answers)
      for (const [, value] of values) t.true(value >= least && value <= most, `${expr}: ${value}`);
  }
  const [answer] = await prometheus.query('count({job_name="mlp"})');
  const series = answer?.values[0]?.[1] ?? 0;
  t.true(series > 50 && series < 250, `${series} series`);
});
