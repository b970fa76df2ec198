import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import type { JobStatus } from '../../operator/api/resource.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { LENET_SPEC } from '../support/kubernetes.ts';
import type { LiveCluster } from '../support/cluster/live-cluster.ts';
import { startLiveCluster } from '../support/cluster/live-cluster.ts';

const JOB = {
  apiVersion: 'soapstone.dev/v1alpha1',
  kind: 'TrainingJob',
  metadata: { name: 'watched' },
  spec: {
    ...LENET_SPEC,
    training: { ...LENET_SPEC.training, steps: 1000 },
    devices: { min: 2, max: 2 },
    search: { seconds: 60, proposals: 20 },
  },
};

let cluster: LiveCluster;
let folder: string;
test.before(async () => {
  cluster = await startLiveCluster();
  folder = await mkdtemp(join(tmpdir(), 'soapstone-plugin-'));
  await apply(JOB);
  await cluster.plane.kubectl('wait', '--for=condition=PodsReady', 'tj/watched', '--timeout=60s');
});
test.after.always(async () => {
  await cluster?.stop();
  await rm(folder, { recursive: true });
});

async function apply(job: { readonly metadata: { readonly name: string }; readonly spec: object }): Promise<void> {
  const file = join(folder, `${job.metadata.name}.json`);
  await writeFile(file, JSON.stringify(job));
  await cluster.plane.kubectl('apply', '-f', file);
}

/** Runs the plugin as kubectl runs it. */
const plugin = (...args: string[]): ReturnType<typeof kubectl> => kubectl('soapstone', ...args);

function kubectl(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const PATH = [...cluster.path, process.env['PATH']].join(delimiter);
  return new Promise((resolve) => {
    const options = { env: { ...process.env, ...cluster.env, PATH }, timeout: 120_000 };
    execFile('kubectl', args, options, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : typeof error.code === 'number' ? error.code : -1, stdout, stderr });
    });
  });
}

test.serial('top reads what the pods measured through the API server', async (t) => {
  let measured:
    | { step: number; loss: number; devices: { device: string; pod: string; iterations: number }[] }
    | undefined;
  while ((measured?.step ?? 0) === 0) {
    const { code, stdout, stderr } = await plugin('top', 'watched', '--output', 'json');
    t.is(code, 0, stderr);
    const [reading] = JSON.parse(stdout);
    // Its pods run before they serve anything.
    if (/connection refused/.test(reading.unreachable ?? '')) continue;
    t.is(reading.unreachable, undefined);
    t.like(reading, { name: 'watched', namespace: 'default', devices: 2 });
    measured = reading.measured;
    if (reading.state === 'Complete') break;
  }
  t.true(measured!.step > 0 && measured!.loss > 0);
  t.deepEqual(
    measured!.devices.map(({ device, pod }) => [device, pod]),
    [
      ['0', 'watched-0-0'],
      ['1', 'watched-0-1'],
    ],
  );
});

test.serial('the tab key completes subcommands and jobs', async (t) => {
  const behind = async (...words: string[]): Promise<string[]> =>
    (await kubectl('__complete', 'soapstone', ...words)).stdout.trimEnd().split('\n');
  t.deepEqual((await behind('ex'))[0]?.split('\t')[0], 'explain');
  t.deepEqual(await behind('plan', 'wat'), ['watched', ':4']);
  t.deepEqual(await behind('plan', '-n', 'kube-system', ''), [':4']);
});

test.serial('plan shows and saves the plan of the job, explain says why it takes as long', async (t) => {
  const file = join(folder, 'plan.json');
  const { code, stdout, stderr } = await plugin('plan', 'watched', '--save', file);
  t.is(code, 0, stderr);
  t.regex(stdout, /job default\/watched, model lenet\npredicted for one iteration of 16 samples:\n[^]*data parallel/);
  const saved = await readFile(file, 'utf8');
  t.is(decodePlan(saved, file).cluster.devices.length, 2);
  const explained = await plugin('explain', 'watched', '--what-if', 'network*2', '--proposals', '20');
  t.is(explained.code, 0, explained.stderr);
  t.regex(explained.stdout, /where the time goes on the critical path:[^]*what if network\*2 \(2 devices\)/);
});

test.serial('explain --trace lays the simulated iteration below those that a running job has measured', async (t) => {
  const spec = { ...JOB.spec, training: { ...JOB.spec.training, steps: 1_000_000 } };
  await apply({ ...JOB, metadata: { name: 'traced' }, spec });
  // It waits until the other job has ended.
  await cluster.plane.kubectl('wait', '--for=condition=PodsReady', 'tj/traced', '--timeout=120s');
  const file = join(folder, 'trace.json');
  let said: string;
  do {
    const { code, stderr } = await plugin('explain', 'traced', '--trace', file);
    t.is(code, 0, stderr);
    said = stderr;
    // Its pods run before they serve anything.
  } while (/has not run 15 steps|connection refused/.test(said));
  t.is(said, '');
  const { traceEvents }: { traceEvents: { name: string; args: { name: string } }[] } = JSON.parse(
    await readFile(file, 'utf8'),
  );
  const processes = traceEvents.flatMap(({ name, args }) => (name === 'process_name' ? [args.name] : []));
  t.deepEqual(processes.slice(0, 3), ['gpu-a', 'gpu-b', 'gpu-a, predicted']);
  await cluster.plane.kubectl('delete', 'tj', 'traced');
});

test.serial('logs -f follows all pods to their end, logs merges what they wrote', async (t) => {
  const followed = await plugin('logs', 'watched', '-f');
  t.is(followed.code, 0, followed.stderr);
  const step = /^watched-0-0 {2}\d\d:\d\d:\d\d step 1000: loss [\d.]+/m;
  t.regex(followed.stdout, step);
  t.regex(followed.stdout, /^watched-0-1 {2}\d\d:\d\d:\d\d device 1: begins, 1000 steps in all/m);
  t.notRegex(followed.stdout, /\{"type"/);
  const raw = await plugin('logs', 'watched', '--output', 'json');
  t.regex(raw.stdout, /^watched-0-1 {2}device 1: \{"type":"ready","steps":1000/m);
  const merged = await plugin('logs', 'watched', '--timestamps');
  const times = merged.stdout
    .trim()
    .split('\n')
    .map((line) => Date.parse(line.split(/ +/)[1]!));
  t.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  );
  t.regex((await plugin('logs', 'watched')).stdout, step);
  const [tail] = [await plugin('logs', 'watched', '--tail', '1')];
  t.is(tail?.stdout.trim().split('\n').length, 2);
});

test.serial('why a job failed outlives its pods, in its status and events, for describe, top and logs', async (t) => {
  const script = `echo "reading 3 shards"; printf '\\033[31msoapstone: shard 2 ends after 17 bytes\\033[0m\\n' >&2; exit 5`;
  const worker = { name: 'worker', command: ['sh', '-c', script] };
  const spec = { ...JOB.spec, backoffLimit: 1, template: { spec: { containers: [worker] } } };
  await apply({ ...JOB, metadata: { name: 'failing' }, spec });
  await cluster.plane.kubectl('wait', '--for=condition=Failed', 'tj/failing', '--timeout=60s');
  const { status }: { status: JobStatus } = JSON.parse(
    await cluster.plane.kubectl('get', 'tj', 'failing', '-o', 'json'),
  );
  const why = (attempt: number): RegExp =>
    new RegExp(`pod failing-${attempt}-[01] on node gpu-[ab] failed with exit code 5: shard 2 ends after 17 bytes`);
  t.deepEqual(
    status.restarts?.map(({ attempt, reason, log }) => [attempt, reason, log]),
    [1, 0].map((attempt) => [attempt, 'Crashed', 'reading 3 shards\nsoapstone: shard 2 ends after 17 bytes']),
  );
  for (const { attempt, message } of status.restarts ?? []) t.regex(message, why(attempt));
  t.regex(status.message, /2 attempts failed and spec.backoffLimit is 1/);
  let described = '';
  // Events are written beside the visits.
  while (!why(0).test(described.split('Events:')[1] ?? ''))
    described = await cluster.plane.kubectl('describe', 'tj', 'failing');
  t.regex(described.split('Events:')[0] ?? '', why(0));
  const top = await plugin('top', 'failing');
  t.is(top.code, 0, top.stderr);
  t.regex(top.stdout, /why attempts ended[^]*attempt 1[^]*\| reading 3 shards\n[^]*attempt 0/);
  const gone = await plugin('logs', 'failing', '--attempt', '0');
  t.is(gone.code, 0, gone.stderr);
  t.regex(gone.stderr, /the pods of attempt 0 of default\/failing are deleted/);
  t.regex(gone.stdout, why(0));
  t.regex(gone.stdout, /\nreading 3 shards\nsoapstone: shard 2 ends after 17 bytes\n$/);
  const kept = await plugin('logs', 'failing');
  t.is(kept.code, 0, kept.stderr);
  t.regex(kept.stdout, /^failing-1-\d {2}soapstone: shard 2 ends after 17 bytes$/m);
  const raw = await plugin('logs', 'failing', '--output', 'json');
  t.true(raw.stdout.includes('\u001B[31msoapstone: '));
});

test.serial('what is wrong is said in a sentence, with what to do', async (t) => {
  await apply({ ...JOB, metadata: { name: 'greedy' }, spec: { ...JOB.spec, devices: { min: 64, max: 64 } } });
  await cluster.plane.kubectl('wait', '--for=condition=Accepted', 'tj/greedy', '--timeout=30s');
  const strangers = join(folder, 'strangers');
  const config: string = await readFile(cluster.plane.kubeconfigPath, 'utf8');
  await writeFile(strangers, config.replace('admin-token-of-a-test', 'nobody'));
  const nowhere = join(folder, 'nowhere');
  await writeFile(nowhere, config.replace(/127\.0\.0\.1:\d+/, '127.0.0.1:65535'));
  const cases: [args: string[], message: RegExp][] = [
    [
      ['plan', 'none'],
      /^kubectl soapstone: cannot get TrainingJob default\/none: there is none: see kubectl get tj -A/,
    ],
    [['explain', 'greedy'], /TrainingJob default\/greedy has no plan: it is WaitingForDevices \(.*64/],
    [['logs', 'greedy'], /attempt 0 of default\/greedy has no pods: the job is WaitingForDevices/],
    [['plan', 'watched', '-n', 'elsewhere'], /TrainingJob elsewhere\/watched: there is none/],
    [['plan'], /plan has 0 jobs; expected one: kubectl soapstone plan JOB/],
    [['top', '--context', 'x'], /the kubeconfig has no context 'x'; expected test/],
    [['top', '--sideways'], /there is no option '--sideways' \(kubectl soapstone top --help lists the options\)/],
    [['top', '--kubeconfig', strangers], /it does not know the user of the kubeconfig: log in again/],
    [['top', '--kubeconfig', nowhere], /the API server cannot be reached \(.*ECONNREFUSED/],
    [['sideways'], /there is no command 'sideways'; expected plan, explain, top, logs/],
  ];
  for (const [args, message] of cases) {
    const { code, stderr } = await plugin(...args);
    t.is(code, 2, args.join(' '));
    t.regex(stderr, message);
    t.is(stderr.trim().split('\n').length, 1, stderr);
  }
});
