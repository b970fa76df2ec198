import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';
import { ApiException, CoordinationV1Api, CoreV1Api, EventsV1Api, KubeConfig } from '@kubernetes/client-node';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { subjectDigest } from '../../operator/decide/table-names.ts';
import { unpackTable } from '../../operator/costs/packing.ts';
import { childNames } from '../../operator/decide/children.ts';
import { decodePlan } from '../../soap/plan/plan-file.ts';
import { encodeCostTable } from '../../soap/cost/cost-table.ts';
import { isNamespaceGone } from '../../operator/watch/namespace-gone.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { freePorts } from '../support/ports.ts';
import { helm } from '../support/cluster/control-plane.ts';
import type { World } from '../support/cluster/world.ts';
import { startWorld } from '../support/cluster/world.ts';

const CHART = new URL('../../charts/soapstone/', import.meta.url).pathname;
const PLUGIN = new URL('../../cli/bin/kubectl-soapstone.js', import.meta.url).pathname;
const MAIN = new URL('../../operator/main.ts', import.meta.url).pathname;
const NAMESPACE = 'soapstone-system';
/** Where the controller's service would lead. */
const ADDRESS = '127.78.0.1';
const SGD = { name: 'sgd', learningRate: 0.1 };

let world: World;
let folder: string;
let token: string;
let port: number;
let controller: ChildProcess;

test.before(async () => {
  world = await startWorld(undefined, { [`s-metrics.${NAMESPACE}.svc`]: ADDRESS });
  const { plane } = world;
  folder = await mkdtemp(join(tmpdir(), 'soapstone-namespaces-'));
  await plane.kubectl('delete', 'crd', 'trainingjobs.soapstone.dev');
  for (const name of [NAMESPACE, 'team-a', 'team-b', 'left']) await plane.kubectl('create', 'namespace', name);
  [port = 0] = await freePorts(1);
  await inNamespace(
    'install',
    's',
    CHART,
    '--set',
    `watchNamespaces={left,team-a},config.metricsPort=${port},config.profileSeconds=3`,
  );
  await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=30s');
  // As a namespace that was deleted leaves it: nobody of the others is to notice.
  await plane.kubectl('delete', 'rolebinding', 's-jobs', '-n', 'left');
  await world.createNode('gpu-a', 2);
  token = (await plane.kubectl('create', 'token', 's', '-n', NAMESPACE)).trim();
  controller = await startController();
});

test.after.always(async () => {
  await stopController();
  await world?.stop();
  if (folder !== undefined) await rm(folder, { recursive: true });
});

/** Runs helm on the release's namespace. */
function inNamespace(...args: string[]): Promise<string> {
  return helm(...args, '--namespace', NAMESPACE, '--kubeconfig', world.plane.kubeconfigPath);
}

function accountConfig(): KubeConfig {
  const config = new KubeConfig();
  const cluster = world.plane.kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('the harness gives no cluster');
  config.loadFromClusterAndUser(cluster, { name: 's', token });
  return config;
}

/** The controller as the chart's Deployment starts it: its variables, its service account, a process of its own. */
async function startController(): Promise<ChildProcess> {
  const { plane, logs } = world;
  const kubeconfig = join(folder, 'kubeconfig');
  await writeFile(kubeconfig, accountConfig().exportConfig());
  const text = await plane.kubectl('get', 'deployment', 's', '-n', NAMESPACE, '-o', 'json');
  const { env }: { env: { name: string; value?: string }[] } = JSON.parse(text).spec.template.spec.containers[0];
  const given = Object.fromEntries(env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value]])));
  const own = { SOAPSTONE_POD_NAMESPACE: NAMESPACE, SOAPSTONE_POD_NAME: 's-0', SOAPSTONE_METRICS_HOST: ADDRESS };
  const child = spawn(process.execPath, [MAIN], {
    env: { ...process.env, ...given, ...own, KUBECONFIG: kubeconfig },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr.on('data', (data: Buffer) => logs.push(data.toString().trimEnd()));
  await world.until('the controller leads', async () => {
    const ready = await fetch(`http://${ADDRESS}:${port}/readyz`).catch(() => undefined);
    return ready?.ok === true && (await ready.text()).includes('leader');
  });
  return child;
}

async function stopController(): Promise<void> {
  if (controller === undefined || controller.exitCode !== null || controller.signalCode !== null) return;
  const gone = new Promise((resolve) => controller.once('exit', resolve));
  controller.kill('SIGTERM');
  await gone;
}

test.serial('a job of a watched namespace trains, one of another is left alone', async (t) => {
  await world.apply('other', {}, 'team-b');
  await world.apply('ours', { tls: true }, 'team-a');
  await world.until('ours is Complete', async () => (await world.read('ours', 'team-a')).status?.state === 'Complete');
  t.is((await world.read('other', 'team-b')).status, undefined);
  await isMeasured(t, 'ours');
  await isExplainedAsPlanned(t, 'ours');
  await isShownAsMeasured(t, 'ours');
  const metrics = await (await fetch(`http://${ADDRESS}:${port}/metrics`)).text();
  t.regex(metrics, /^soapstone_namespace_refused\{namespace="left"\} 1$/m);
  const namespaces = new Set((await world.pods()).map(({ metadata }) => metadata?.namespace));
  t.deepEqual([...namespaces], ['team-a']);
  t.false(
    world.logs.some((line) => line.includes('forbidden')),
    world.logs.slice(-20).join('\n'),
  );
});

/** The costs of the nodes' devices in a namespace. */
const TABLE = `soapstone-costs-p100-${subjectDigest({ deviceType: 'P100', provider: 'auto' })}`;

/** A pod has measured the model, the namespace keeps that, and the job's plan rests on it. */
async function isMeasured(t: ExecutionContext, name: string): Promise<void> {
  const { status } = await world.read(name, 'team-a');
  const condition = status?.conditions?.find(({ type }) => type === 'CostsMeasured');
  t.deepEqual([condition?.status, condition?.reason], ['True', 'CostsKnown'], world.logs.slice(-20).join('\n'));
  t.not(status?.costs?.measured, '0 %');
  const { data }: { data: Record<string, string> } = JSON.parse(
    await world.plane.kubectl('get', 'configmap', TABLE, '-n', 'team-a', '-o', 'json'),
  );
  t.like(data, { deviceType: 'P100', kernels: KERNELS_VERSION });
  t.true(Number(data['entries']) > 0);
}

/** The plugin explains a plan by the costs that it was made by. */
async function isExplainedAsPlanned(t: ExecutionContext, name: string): Promise<void> {
  const { plane } = world;
  const text = await plane.kubectl('get', 'configmap', childNames.plan(name), '-n', 'team-a', '-o', 'json');
  const { prediction, costs } = decodePlan(JSON.parse(text).data['plan.json']);
  t.true(costs!.measured > 0);
  const explained = await plugin('explain', name, '--output', 'json');
  t.is(explained.stderr, '');
  t.is(JSON.parse(explained.stdout).prediction.iterationMs, prediction.iterationMs);
}

/** Runs the plugin on the namespace of the jobs. */
async function plugin(...args: string[]): Promise<{ stdout: string; stderr: string }> {
  const access = ['-n', 'team-a', '--kubeconfig', world.plane.kubeconfigPath];
  return promisify(execFile)(process.execPath, [PLUGIN, ...args, ...access]);
}

/** The plugin shows a plan's ops by the costs that it was made by, as the plan has them, whatever the cluster keeps by now. */
async function isShownAsMeasured(t: ExecutionContext, name: string): Promise<void> {
  const { plane } = world;
  const shown = await plugin('plan', name);
  t.is(shown.stderr, '');
  t.regex(shown.stdout, /\ncompute time: [1-9]\d*% measured, \d+% interpolated, \d+% from data sheets\n/);
  const ops = async (...args: string[]): Promise<{ stderr: string; ops: Map<string, number> }> => {
    const { stdout, stderr } = await plugin('plan', name, '--output', 'json', ...args);
    const { ops: shownOps }: { ops: { name: string; computeMs: number }[] } = JSON.parse(stdout);
    return { stderr, ops: new Map(shownOps.map(({ name: op, computeMs }) => [op, computeMs])) };
  };
  const kept = await ops();
  const manifest = await plane.kubectl('get', 'configmap', TABLE, '-n', 'team-a', '-o', 'json');
  const { binaryData }: { binaryData: Record<string, string> } = JSON.parse(manifest);
  const packed = Buffer.from(binaryData['costs.json.gz'] ?? '', 'base64');
  const file = join(folder, 'costs.json');
  await writeFile(file, encodeCostTable(await unpackTable([packed])));
  const named = await ops('--costs', file);
  // Plan files have six digits.
  for (const [op, ms] of kept.ops) t.true(Math.abs((named.ops.get(op) ?? ms) - ms) <= 1e-5 * ms, op);
  await plane.kubectl('delete', 'configmap', TABLE, '-n', 'team-a');
  const without = await ops();
  t.is(without.stderr, '');
  for (const [op, ms] of kept.ops) t.is(without.ops.get(op) ?? ms, ms, op);
  const { metadata, ...content } = JSON.parse(manifest);
  const { labels } = metadata;
  const again = { ...content, metadata: { name: TABLE, namespace: 'team-a', labels } };
  const restored = join(folder, 'table.json');
  await writeFile(restored, JSON.stringify(again));
  await plane.kubectl('create', '-f', restored);
}

test.serial('a later job of the namespace rests on what was measured, and measures nothing', async (t) => {
  const { plane } = world;
  await plane.kubectl('delete', 'tj', 'ours', '-n', 'team-a');
  await world.apply('later', {}, 'team-a');
  await world.until(
    'later is Complete',
    async () => (await world.read('later', 'team-a')).status?.state === 'Complete',
  );
  await isMeasured(t, 'later');
  const events = await plane.kubectl('get', 'events', '-n', 'team-a', '-o', 'json');
  const profiled: { items: { reason: string; involvedObject: { name: string } }[] } = JSON.parse(events);
  const jobs = profiled.items.flatMap(({ reason, involvedObject }) =>
    reason === 'Profiling' ? [involvedObject.name] : [],
  );
  t.deepEqual(jobs, ['ours']);
  await plane.kubectl('delete', 'tj', 'later', '-n', 'team-a');
});

test.serial('a device that cannot be measured is planned for by data sheets, and that is told', async (t) => {
  const { plane } = world;
  // There is no such GPU: the pods of the job cannot train either.
  const training = { batchSize: 16, steps: 1, loss: { name: 'crossEntropy' }, optimizer: SGD, kernels: 'cuda' };
  await world.apply('broken', { training, backoffLimit: 0 }, 'team-a');
  await world.until('it has failed', async () => (await world.read('broken', 'team-a')).status?.state === 'Failed');
  const { status } = await world.read('broken', 'team-a');
  const condition = status?.conditions?.find(({ type }) => type === 'CostsMeasured');
  t.deepEqual([condition?.status, condition?.reason], ['False', 'ProfileFailed']);
  t.regex(
    condition?.message ?? '',
    /^P100 is not measured, and the search goes on with data sheets for it: pod broken-/,
  );
  t.is(status?.costs?.roofline, '100 %');
  t.regex(
    await plane.kubectl('describe', 'tj', 'broken', '-n', 'team-a'),
    /Warning +ProfileFailed .*exit code 2: .*CUDA/i,
  );
  await plane.kubectl('delete', 'tj', 'broken', '-n', 'team-a');
});

test.serial('the controller reads no secret, and beyond its namespaces nothing but nodes', async (t) => {
  const core = accountConfig().makeApiClient(CoreV1Api);
  const forbidden = async (what: string, request: Promise<unknown>): Promise<void> => {
    const error = await t.throwsAsync(request, { instanceOf: ApiException }, what);
    t.is(error instanceof ApiException && error.code, 403, what);
  };
  await t.notThrowsAsync(core.listNode());
  await t.notThrowsAsync(core.listNamespacedPod({ namespace: 'team-a' }));
  for (const namespace of ['team-a', 'team-b', 'default', NAMESPACE])
    await forbidden(`secrets of ${namespace}`, core.listNamespacedSecret({ namespace }));
  await forbidden('all secrets', core.listSecretForAllNamespaces());
  await forbidden('the token', core.readNamespacedSecret({ name: 'ours-0-token', namespace: 'team-a' }));
  await forbidden('the key', core.readNamespacedSecret({ name: 'ours-0-tls', namespace: 'team-a' }));
  await forbidden('its end', core.deleteNamespacedSecret({ name: 'ours-0-token', namespace: 'team-a' }));
  await forbidden('all pods', core.listPodForAllNamespaces());
  for (const namespace of ['team-b', 'default', 'kube-system']) {
    await forbidden(`pods of ${namespace}`, core.listNamespacedPod({ namespace }));
    await forbidden('a log', core.readNamespacedPodLog({ name: 'x', namespace }));
    await forbidden('a new secret', core.createNamespacedSecret({ namespace, body: { metadata: { name: 'x' } } }));
    await forbidden('a pod less', core.deleteNamespacedPod({ name: 'x', namespace }));
  }
  await t.notThrowsAsync(core.readNamespace({ name: 'team-a' }), 'whether it is there');
  await forbidden('a namespace', core.readNamespace({ name: 'team-b' }));
  await forbidden('all namespaces', core.listNamespace());
  const coordination = accountConfig().makeApiClient(CoordinationV1Api);
  await t.notThrowsAsync(coordination.readNamespacedLease({ name: 's', namespace: NAMESPACE }));
  const lease = { name: 'another', namespace: NAMESPACE };
  await forbidden('the lease of another program', coordination.readNamespacedLease(lease));
  await forbidden('its change', coordination.replaceNamespacedLease({ ...lease, body: { metadata: lease } }));
  await forbidden('an end of its own', coordination.deleteNamespacedLease({ name: 's', namespace: NAMESPACE }));
  const events = accountConfig().makeApiClient(EventsV1Api);
  await forbidden('events', events.listNamespacedEvent({ namespace: 'team-a' }));
  await forbidden('a changed event', events.patchNamespacedEvent({ name: 'x', namespace: 'team-a', body: {} }));
});

test.serial(
  'with the rights of the chart it is found out whether a watched namespace that is refused was deleted',
  async (t) => {
    const { plane } = world;
    const isGone = (name: string): Promise<boolean> =>
      isNamespaceGone(accountConfig(), name, new AbortController().signal);
    t.deepEqual([await isGone('team-a'), await isGone('left')], [false, false]);
    t.false(await isGone('nobody-watches-it'), 'that it may not ask says nothing');
    await plane.kubectl('delete', 'namespace', 'left', '--wait=false');
    // There is no controller of namespaces here, which would do this once nothing is left in it.
    const text = await plane.kubectl('get', 'namespace', 'left', '-o', 'json');
    const file = join(folder, 'left.json');
    await writeFile(file, JSON.stringify({ ...JSON.parse(text), spec: { finalizers: [] } }));
    await plane.kubectl('replace', '--raw', '/api/v1/namespaces/left/finalize', '-f', file);
    await world.until('it is gone', () => isGone('left'));
    const metrics = await (await fetch(`http://${ADDRESS}:${port}/metrics`)).text();
    t.regex(metrics, /^soapstone_namespace_refused\{namespace="left"\} 1$/m);
  },
);

/** What a job of team-a is made of, beside its secrets. */
const PARTS = ['tj/private', 'pod/private-0-0', 'configmap/private-plan', 'service/private', `configmap/${TABLE}`];

test.serial('who is admin of another namespace, and its pods, can neither read nor steer a job', async (t) => {
  const { plane } = world;
  // The roles that admin is made of: a controller that is not here would put them together.
  for (const role of ['view', 'edit', 'admin']
    .map((name) => `system:aggregate-to-${name}`)
    .concat(`s-trainingjobs-edit.${NAMESPACE}`))
    await plane.kubectl('create', 'rolebinding', role, `--clusterrole=${role}`, '--user=eve', '-n', 'team-b');
  const steps = { training: { batchSize: 16, steps: 1e6, loss: { name: 'crossEntropy' }, optimizer: SGD } };
  await world.apply('private', steps, 'team-a');
  await world.until('Running', async () => (await world.read('private', 'team-a')).status?.state === 'Running');
  const { uid } = (await world.read('private', 'team-a')).metadata;

  for (const who of ['eve', 'system:serviceaccount:team-b:default']) {
    const as = (...args: string[]): Promise<string> => plane.kubectl(...args, '-n', 'team-a', `--as=${who}`);
    const refused = async (...args: string[]): Promise<void> => {
      await t.throwsAsync(as(...args), { message: /forbidden/i }, `${who}: ${args.join(' ')}`);
    };
    for (const part of [...PARTS, `secret/${childNames.token('private', 0, uid ?? '')}`]) {
      await refused('get', part);
      await refused('delete', part);
      await refused('patch', part, '--type=merge', '-p', '{"metadata":{"labels":{"x":"y"}}}');
    }
    await refused('patch', 'tj/private', '--subresource=status', '--type=merge', '-p', '{"status":{"state":"Failed"}}');
    await refused('logs', 'private-0-0');
    await refused('get', 'tj');
  }

  // In her own namespace she may write what looks like a part of the job; nobody listens.
  const stranger = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      name: 'private-0-0',
      namespace: 'team-b',
      labels: { 'soapstone.dev/job': 'private', 'soapstone.dev/attempt': '0' },
      ownerReferences: [{ apiVersion: 'soapstone.dev/v1alpha1', kind: 'TrainingJob', name: 'private', uid }],
    },
    spec: {
      nodeName: 'gpu-a',
      restartPolicy: 'Never',
      containers: [{ name: 'worker', image: 'x', command: ['false'] }],
    },
  };
  await writeFile(join(folder, 'pod.json'), JSON.stringify(stranger));
  await plane.kubectl('apply', '-f', join(folder, 'pod.json'), '--as=eve');
  await world.until('it has failed', async () =>
    (await world.pods()).some(({ metadata, status }) => metadata?.namespace === 'team-b' && status?.phase === 'Failed'),
  );
  await world.apply('private', { suspend: true }, 'team-b');
  const { status } = await world.read('private', 'team-a');
  t.deepEqual([status?.state, status?.attempt, status?.failures], ['Running', 0, {}]);
  await plane.kubectl('delete', 'tj', 'private', '-n', 'team-a');
  await plane.kubectl('delete', 'pod', 'private-0-0', '-n', 'team-b', '--force', '--ignore-not-found');
});

test.serial('helm test tells a controller that is well from one that is gone', async (t) => {
  t.regex(await inNamespace('test', 's', '--timeout', '60s'), /Phase: +Succeeded/);
  await stopController();
  await t.throwsAsync(inNamespace('test', 's', '--timeout', '60s'), { message: /s-test/ });
});
