import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { networkInterfaces } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { Registry } from 'prom-client';
import { MEMORY_FLAGS } from '../../bench/operator/controller-process.ts';
import type { FailureClass, JobState } from '../../operator/api/resource.ts';
import { loadConfig } from '../../operator/config.ts';
import type { ProcessConfig } from '../../operator/settings.ts';
import { CONFIG_SCHEMA } from '../../operator/settings.ts';
import { nodeFingerprint } from '../../operator/discovery/node-change.ts';
import { healthAnswers, healthOf, listenForHealth, readinessOf } from '../../operator/health.ts';
import { CONTROLLER_METRICS } from '../../operator/metric-names.ts';
import { ControllerMetrics } from '../../operator/metrics.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { FakeLease } from '../support/fake-lease.ts';
import { coreNode, gpuNode, jobResource } from '../support/kubernetes.ts';
import { lenetPlan } from '../support/lenet-plan.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

function settings(env: NodeJS.ProcessEnv, args: readonly string[] = []): ProcessConfig {
  const loaded = loadConfig(env, args);
  if ('help' in loaded) throw new Error('help was not asked for');
  return loaded.config;
}

test('flags go before the environment, the environment before the file, the file before defaults', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'controller.yaml');
  await writeFile(file, 'logLevel: debug\nconcurrentSearches: 5\nmetricsPort: 1111\n');
  const config = settings(
    { SOAPSTONE_CONFIG: file, SOAPSTONE_CONCURRENT_SEARCHES: '6', SOAPSTONE_METRICS_PORT: '2222' },
    ['--metrics-port=3333'],
  );
  t.is(config.logLevel, 'debug');
  t.is(config.concurrentSearches, 6);
  t.is(config.metricsPort, 3333);
  t.is(config.concurrentVisits, 2);
});

test('a time that no timer waits for is refused: it would be over at once', (t) => {
  const names = ['progress', 'placement', 'model'] as const;
  const error = t.throws(() =>
    loadConfig(
      {},
      names.map((name) => `--${name}-seconds=2147484`),
    ),
  );
  for (const name of names)
    t.true(
      error.message.includes(`${name}Seconds: is 2147484; expected at most 2147483, the longest that a timer waits`),
    );
  t.is(settings({}, ['--progress-seconds=2147483']).progressSeconds, 2_147_483);
});

test('at least one search and one visit are at work, or jobs would wait for ever', (t) => {
  const { concurrentSearches, concurrentVisits } = settings({}, ['--concurrent-searches=0', '--concurrent-visits=0']);
  t.deepEqual([concurrentSearches, concurrentVisits], [1, 1]);
});

test('all problems are told at once', (t) => {
  const error = t.throws(() =>
    loadConfig({ SOAPSTONE_METRICS_PORT: 'x', SOAPSTONE_LOG_LEVEL: 'loud', SOAPSTONE_MODEL_SITES: 'ftp://x' }, [
      '--nothing=1',
      '--dns-ports=53,dns',
      'stray',
    ]),
  );
  for (const part of ['metricsPort', 'logLevel', "'ftp://x' is no site", "'dns' is no port", '--nothing=1', 'stray'])
    t.true(error.message.includes(part), part);
  t.throws(() => loadConfig({ SOAPSTONE_CONFIG: '/nowhere.yaml' }), { message: /nowhere/ });
});

test('the help and the reference name every setting, flag and variable', async (t) => {
  const loaded = loadConfig({}, ['--help']);
  const help = 'help' in loaded ? loaded.help : '';
  const page = await readFile(new URL('../../docs/reference/configuration.md', import.meta.url), 'utf8');
  for (const [name, { arg, env, doc, default: value }] of Object.entries(CONFIG_SCHEMA)) {
    t.true(help.includes(`--${arg}=`) && help.includes(env), name);
    const cells = [`\`${name}\``, `\`--${arg}\``, `\`${env}\``, `\`${JSON.stringify(value)}\``, doc];
    t.true(
      page.split('\n').some((row) => cells.every((cell) => row.includes(cell))),
      name,
    );
  }
  const rows = page.split('\n').filter((row) => row.includes('`--') && row.startsWith('|'));
  t.is(rows.length, Object.keys(CONFIG_SCHEMA).length);
});

test('whatever starts the controller bounds its memory alike', async (t) => {
  for (const file of ['Dockerfile', 'package.json']) {
    const text = await readFile(new URL(`../../${file}`, import.meta.url), 'utf8');
    t.regex(text, new RegExp(`node ${MEMORY_FLAGS.join(' ')} [a-z/]*operator/main\\.ts`), file);
  }
});

function metricsOf(jobs: () => ReturnType<typeof jobResource>[]): ControllerMetrics {
  return new ControllerMetrics({
    jobs,
    queue: () => ({ depth: 3, active: 1, workingSeconds: [2, 1] }),
    searches: { running: 1, waiting: 4 },
    concurrency: 4,
    leads: () => true,
    staleMs: () => 1500,
    namespaces: () => [
      ['here', false],
      ['gone', true],
    ],
  });
}

test('every metric of the reference is there, under the names that dashboards use', async (t) => {
  const text = await metricsOf(() => []).registry.metrics();
  const page = await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');
  for (const [name, help] of Object.entries(CONTROLLER_METRICS)) {
    t.true(text.includes(`# HELP ${name} ${help}`), name);
    t.true(
      page.split('\n').some((row) => row.includes(`\`${name}\``) && row.includes(help)),
      name,
    );
  }
  t.true(text.includes('workqueue_depth{name="trainingjob"} 3'));
  t.true(text.includes('workqueue_longest_running_processor_seconds{name="trainingjob"} 2'));
  t.true(text.includes('leader_election_master_status{name="soapstone"} 1'));
  t.true(text.includes('soapstone_watch_stale_seconds 1.5'));
  t.true(text.includes('soapstone_namespace_refused{namespace="gone"} 1'));
  t.true(text.includes('soapstone_namespace_refused{namespace="here"} 0'));
});

test("a job's series go with it, and there is a limit to them", async (t) => {
  const measured = { iteration: '15.0 ms', step: 25, steps: 100 };
  const job = (name: string, state: JobState): ReturnType<typeof jobResource> => {
    const resource = jobResource({}, { state, devices: 4, iteration: '12.5 ms', measured, failures: { Crashed: 2 } });
    return { ...resource, metadata: { name, namespace: 'default', uid: name, generation: 1 } };
  };
  let jobs = [job('a', 'Running'), job('b', 'Complete')];
  const { registry } = metricsOf(() => jobs);
  const before = await registry.metrics();
  t.true(before.includes('soapstone_job_predicted_iteration_seconds{namespace="default",job_name="a"} 0.0125'));
  t.true(before.includes('soapstone_job_measured_iteration_seconds{namespace="default",job_name="a"} 0.015'));
  t.true(before.includes('soapstone_job_progress_ratio{namespace="default",job_name="a"} 0.25'));
  t.false(before.includes('soapstone_job_progress_ratio{namespace="default",job_name="b"}'), 'it has ended');
  t.true(before.includes('soapstone_devices_in_use 4'));
  t.true(before.includes('soapstone_job_state{namespace="default",job_name="a",state="Running"} 1'));
  t.true(before.includes('soapstone_job_failures{namespace="default",job_name="a",reason="Crashed"} 2'));
  jobs = [job('b', 'Complete')];
  const after = await registry.metrics();
  t.false(after.includes('job_name="a"'));
  t.true(after.includes('soapstone_devices_in_use 0'));
  t.false(after.includes('state="Running"'));
  jobs = Array.from({ length: 1500 }, (_, i) => job(`j${i}`, 'Running'));
  jobs.push(...Array.from({ length: 1000 }, (_, i) => job(`k${i}`, 'Running')));
  jobs.unshift(job('over', 'Complete'));
  const many = await registry.metrics();
  for (const name of ['soapstone_job_predicted_iteration_seconds', 'soapstone_job_state', 'soapstone_job_failures'])
    t.is([...many.matchAll(new RegExp(`^${name}\\{`, 'gm'))].length, 1000, name);
  t.false(many.includes('"over"'), 'jobs that are over are left out first');
});

test('a job has as many series as the reference says, whatever becomes of it', async (t) => {
  const reasons = { NodeLost: 1, Evicted: 1, Preempted: 1, NotPlaced: 1, FileMissing: 1, OutOfMemory: 1 };
  const failures: Record<FailureClass, number> = { ...reasons, Crashed: 1, PeerLost: 1 };
  const measured = { iteration: '15.0 ms', step: 25, steps: 100 };
  const metrics = metricsOf(() => [jobResource({}, { state: 'Running', iteration: '12.5 ms', measured, failures })]);
  const plan = lenetPlan('p100x2', 8);
  const names = Array.from({ length: 20 }, (_, index) => `baseline-${index}`);
  const baselines = Object.fromEntries(names.map((name) => [name, plan.prediction]));
  metrics.observePlan('default/job', { ...plan, baselines });
  const lines = (await metrics.registry.metrics()).split('\n').filter((line) => line.includes('job_name="job"'));
  const page = await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');
  t.regex(page, new RegExp(`A job has at most ${lines.length}:`), lines.join('\n'));
});

test("a search's series live as long as its job: while it runs, after it ended, and for a plan of an earlier controller", async (t) => {
  let jobs = [jobResource()];
  const metrics = metricsOf(() => jobs);
  const series = async (name: string): Promise<string[]> =>
    (await metrics.registry.metrics()).split('\n').filter((line) => line.startsWith(`soapstone_${name}`));
  const report = (proposals: number, iterationMs: number): void =>
    metrics.observeSearchProgress('default/job', { proposals, accepted: proposals / 10, iterationMs });
  report(100, 20);
  report(300, 15);
  t.deepEqual(await series('job_search_best'), [
    'soapstone_job_search_best_iteration_seconds{namespace="default",job_name="job"} 0.015',
  ]);
  const subject = { training: attachLoss(builtinGraph('lenet', 8), 'crossEntropy'), cluster: presetCluster('p100x2') };
  const settings = { seconds: 60, seed: 1, beta: 200, chains: 1, start: ['data' as const], proposals: 20 };
  const { plan } = findPlan({ ...subject, costs: createRooflineCosts() }, settings, { nowMs: () => performance.now() });
  metrics.observePlan('default/job', plan);
  t.is((await series('job_baseline_iteration_seconds{')).length, Object.keys(plan.baselines).length);
  t.deepEqual(await series('job_search_proposals_total'), [
    `soapstone_job_search_proposals_total{namespace="default",job_name="job"} ${plan.search?.proposals}`,
  ]);
  report(50, 19);
  metrics.observePlan('default/job', plan);
  t.regex(
    (await series('job_search_best')).join(),
    /0\.019$/,
    'the old plan of a job that is searched again says nothing new',
  );
  t.deepEqual(await series('search_proposals_total'), ['soapstone_search_proposals_total 350']);
  metrics.forgetSearches('default/job');
  t.deepEqual(await series('job_baseline_iteration_seconds{'), []);
  jobs = [];
  t.deepEqual(await series('job_'), []);
  jobs = [jobResource()];
  t.deepEqual(await series('job_search_best'), [], 'another job of the same name begins anew');
});

test('health and readiness mean something', (t) => {
  const well = { isSynced: () => true, staleMs: () => 0, longestVisitSeconds: () => 1, leads: () => true };
  t.deepEqual(readinessOf(well), { ok: true, text: 'ok: leader' });
  t.deepEqual(readinessOf({ ...well, leads: () => false }), { ok: true, text: 'ok: standby' });
  t.false(readinessOf({ ...well, isSynced: () => false }).ok);
  t.false(readinessOf({ ...well, staleMs: () => 61_000 }).ok);
  t.true(healthOf({ ...well, staleMs: () => 1e9 }).ok, 'an API server that is down is no reason to restart');
  t.false(healthOf({ ...well, longestVisitSeconds: () => 601 }).ok);
});

test('whatever is asked for gets an answer, and the process goes on', async (t) => {
  const sources = { isSynced: () => true, staleMs: () => 0, longestVisitSeconds: () => 1, leads: () => true };
  const server = createServer(healthAnswers(sources, new Registry())).listen(0, '127.0.0.1');
  t.teardown(() => void server.close());
  await once(server, 'listening');
  const { port }: Partial<AddressInfo> = Object(server.address());
  const statusOf = async (path: string): Promise<number | undefined> => {
    const request = get({ host: '127.0.0.1', port, path });
    const [response]: IncomingMessage[] = await once(request, 'response');
    request.destroy();
    return response?.statusCode;
  };
  for (const [path, status] of [
    ['//', 404],
    ['/nothing', 404],
    ['/healthz?verbose', 200],
    ['/readyz', 200],
    ['/metrics', 200],
  ] as const)
    t.is(await statusOf(path), status, path);
});

test('a metrics port that is taken is told before any work, in a sentence; what fails later ends nothing', async (t) => {
  const told: string[] = [];
  const anywhere = { metricsHost: '127.0.0.1', metricsPort: 0 };
  const server = await listenForHealth(anywhere, ({ message }) => told.push(message));
  t.teardown(() => void server.close());
  for (let i = 0; i < 2; i++) server.emit('error', new Error('accept EMFILE'));
  t.deepEqual(told, ['accept EMFILE', 'accept EMFILE']);
  const { port }: Partial<AddressInfo> = Object(server.address());
  const main = new URL('../../operator/main.ts', import.meta.url).pathname;
  const { code, stderr } = await new Promise<{ code: unknown; stderr: string }>((resolve) => {
    const args = [main, '--metrics-host=127.0.0.1', `--metrics-port=${port}`, '--leader-election=false'];
    const env = { ...process.env, HOME: '/nowhere', KUBECONFIG: '' };
    execFile(process.execPath, args, { env, timeout: 60_000 }, (error, _, text) =>
      resolve({ code: error?.code, stderr: text }),
    );
  });
  t.is(code, 2, stderr);
  t.is(
    stderr,
    `metrics and probes cannot be served on 127.0.0.1:${port}; another process has the port: stop it, or choose another with --metrics-port\n`,
  );
});

test('a process that can list nothing takes no lease, which another could need', async (t) => {
  const folder = await temporaryFolder(t);
  // It knows leases alone.
  const api = new FakeLease();
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, (await api.start()).exportConfig());
  t.teardown(() => api.stop());
  const main = new URL('../../operator/main.ts', import.meta.url).pathname;
  const args = [main, '--metrics-host=127.0.0.1', '--metrics-port=0'];
  const child = spawn(process.execPath, args, { env: { ...process.env, KUBECONFIG: kubeconfig }, stdio: 'ignore' });
  t.teardown(() => void child.kill('SIGKILL'));
  // It lists seven kinds, and again the three that must be there.
  while (api.requests < 10) await sleep(50);
  t.is(api.holder, undefined);
});

test('by default metrics are served on every address, those of IPv6 too', async (t) => {
  const server = await listenForHealth({ ...settings({}), metricsPort: 0 }, t.log);
  t.teardown(() => void server.close());
  const { port }: Partial<AddressInfo> = Object(server.address());
  const own = Object.values(networkInterfaces()).flatMap((each) => each?.filter(({ internal }) => internal) ?? []);
  for (const { address: host } of own) {
    const socket = connect({ host, port: port ?? 0 });
    await once(socket, 'connect');
    socket.destroy();
  }
  const taken = listenForHealth({ metricsHost: '', metricsPort: port ?? 0 }, t.log);
  await t.throwsAsync(taken, { message: new RegExp(`served on port ${port}; another process`) });
});

test('only what discovery reads makes a node another', (t) => {
  const base = gpuNode('a', 4);
  const print = nodeFingerprint(base, new Set(['pool']));
  const labelled = (labels: Record<string, string>): string =>
    nodeFingerprint(gpuNode('a', 4, labels), new Set(['pool']));
  t.is(labelled({ 'nvidia.com/gfd.timestamp': '1', 'example.com/x': 'y' }), print);
  for (const labels of [{ pool: 'x' }, { 'nvidia.com/gpu.memory': '1' }, { 'fabric.topograph.run/tier-2': 's' }])
    t.not(labelled(labels), print);
  t.not(nodeFingerprint(gpuNode('a', 3), new Set()), print);
  t.not(nodeFingerprint(coreNode('a', '3'), new Set()), nodeFingerprint(coreNode('a', '2'), new Set()));
  t.not(nodeFingerprint(gpuNode('a', 4, {}, { unschedulable: true }), new Set()), print);
});
