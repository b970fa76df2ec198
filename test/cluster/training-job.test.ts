import { createHash } from 'node:crypto';
import { cp, mkdir, mkdtemp, readdir, readFile, rename, rm, utimes, writeFile } from 'node:fs/promises';
import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoreV1Api } from '@kubernetes/client-node';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { parse, stringify } from 'yaml';
import type { ControllerConfig } from '../../operator/settings.ts';
import type { Controller } from '../../operator/controller.ts';
import { startController } from '../../operator/controller.ts';
import { childNames } from '../../operator/decide/children.ts';
import { decodeSafetensors } from '../../soap/safetensors/safetensors.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { startControlPlane } from '../support/cluster/control-plane.ts';
import { NodeAgent } from '../support/cluster/node-agent.ts';
import { createNode, P100_LABELS } from '../support/cluster/nodes.ts';
import { defaultConfig } from '../support/cluster/world.ts';

const CRD = new URL('../../crds/trainingjobs.yaml', import.meta.url).pathname;
const GOLDEN = new URL('../golden/', import.meta.url).pathname;

let plane: ControlPlane;
let agent: NodeAgent;
let controller: Controller;
/** Serves the golden models. */
let models: Server;
let modelsUrl: string;
const logs: string[] = [];

test.before(async () => {
  plane = await startControlPlane();
  await plane.kubectl('apply', '-f', CRD);
  await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=30s');
  for (const name of ['gpu-a', 'gpu-b']) await createNode(plane, name, 1, P100_LABELS);
  agent = new NodeAgent({ kubeConfig: plane.kubeConfig, onLog: (line) => logs.push(line) });
  agent.start();
  models = createServer((request, response) => {
    readFile(join(GOLDEN, request.url ?? '')).then(
      (file) => response.end(file),
      () => response.writeHead(404).end(),
    );
  });
  await new Promise<void>((resolve) => models.listen(0, '127.0.0.1', resolve));
  const { port = 0 }: Partial<AddressInfo> = Object(models.address());
  modelsUrl = `http://127.0.0.1:${port}`;
  const config: ControllerConfig = {
    ...defaultConfig(),
    concurrentSearches: 1,
    hostPathModels: true,
    modelSites: modelsUrl,
    modelPrivateAddresses: true,
    progressSeconds: 1,
  };
  controller = await startController(plane.kubeConfig, config, (line) => logs.push(JSON.stringify(line)));
});

test.after.always(async () => {
  await controller?.stop();
  await agent?.stop();
  await plane?.stop();
  models?.close();
});

/** Golden mlp in a folder that every node can mount, with a job file for the cluster. */
async function storage(
  name: string,
  change: (spec: Record<string, unknown>) => void,
): Promise<{ folder: string; file: string }> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-storage-'));
  await cp(join(GOLDEN, 'mlp'), folder, { recursive: true });
  const job: { metadata: object; spec: Record<string, unknown> } = parse(
    await readFile(join(folder, 'job.yaml'), 'utf8'),
  );
  job.metadata = { name, namespace: 'default' };
  job.spec = {
    ...job.spec,
    storage: { hostPath: { path: folder } },
    devices: { resource: 'nvidia.com/gpu', min: 2, max: 2 },
    checkpoint: { directory: 'checkpoints', everySteps: 10, keep: 2 },
    search: { seconds: 60, proposals: 50 },
  };
  change(job.spec);
  const file = join(folder, 'job.yaml');
  await writeFile(file, stringify(job));
  return { folder, file };
}

async function until(
  t: ExecutionContext,
  what: string,
  check: () => Promise<boolean>,
  seconds: number = 180,
): Promise<void> {
  const deadline = performance.now() + 1000 * seconds;
  while (performance.now() < deadline) {
    if (await check()) return;
    await sleep(200);
  }
  const jobs = await plane.kubectl('get', 'tj', '-o', 'jsonpath={.items[*].status}');
  throw new Error(`${t.title}: not within ${seconds} s: ${what}\n${logs.slice(-30).join('\n')}\n${jobs}`);
}

async function hasCondition(name: string, type: string, reason?: string): Promise<boolean> {
  const { status } = await plane.readJob(name);
  const condition = status?.conditions?.find((candidate) => candidate.type === type);
  return condition?.status === 'True' && (reason === undefined || condition.reason === reason);
}

async function leftovers(name: string): Promise<string> {
  return (
    await plane.kubectl(
      'get',
      'pods,configmaps,secrets,controllerrevisions,services',
      '-l',
      `soapstone.dev/job=${name}`,
      '-o',
      'name',
    )
  ).trim();
}

test.serial(
  'a job applied with kubectl trains on two nodes, shows live metrics, ends Complete; deleting it leaves nothing',
  async (t) => {
    const { folder, file } = await storage('mlp', ({ training, checkpoint }) => {
      Object.assign(training ?? {}, { steps: 3000 });
      Object.assign(checkpoint ?? {}, { everySteps: 200 });
    });
    await plane.kubectl('apply', '-f', file);
    await until(t, 'PodsReady', () => hasCondition('mlp', 'PodsReady'));

    const { items } = await plane.kubeConfig.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: 'default' });
    t.deepEqual(
      items.map(({ spec }) => spec?.nodeName ?? '').toSorted((a, b) => a.localeCompare(b)),
      ['gpu-a', 'gpu-b'],
    );
    let live = '';
    await until(t, 'live metrics', async () => {
      live = await fetch(`http://${items[0]!.status!.podIP}:9400/metrics`).then(
        (answer) => answer.text(),
        () => '',
      );
      return /soapstone_step\{.*\} [1-9]/.test(live);
    });
    t.regex(live, /soapstone_samples_per_second\{.*\} [0-9.]+/);
    t.regex(live, /soapstone_sent_bytes_total\{.*\} [0-9.]+/);

    await until(t, 'measured', async () => (await plane.readJob('mlp')).status?.measured?.steps === 3000);
    await until(t, 'Complete', () => hasCondition('mlp', 'Complete'));
    const { status } = await plane.readJob('mlp');
    t.is(status?.state, 'Complete');
    t.is(status?.devices, 2);
    t.regex(status?.iteration ?? '', /ms$/);
    const used = status?.conditions?.find(({ type }) => type === 'DevicesUsed');
    t.deepEqual([used?.status, used?.reason], ['False', 'DevicesIdle'], 'processes of this machine compute on no GPU');
    t.true(
      status?.topology?.sources.some((line) => line.includes('label soapstone.dev/inter-node-bandwidth-gbps=100')),
    );
    t.regex(
      await plane.kubectl('get', 'tj', 'mlp'),
      /STATE +REASON +DEVICES +ITERATION +MEASURED +PROGRESS +AGE\s+mlp +Complete +TrainingComplete +2 +[0-9.]+ ms +[0-9.]+ ms +100 %/,
    );
    t.regex(await plane.kubectl('get', 'events', '-o', 'json'), /TrainingComplete/);

    const last = join(folder, 'checkpoints', 'step-00003000');
    const shard = (await readdir(last)).find((name) => name.endsWith('.safetensors'))!;
    t.true(decodeSafetensors(await readFile(join(last, shard))).tensors.size > 0);
    t.true(decodeOnnx(await readFile(join(folder, 'checkpoints', 'trained.onnx'))).nodes.length > 0);

    await plane.kubectl('delete', 'tj', 'mlp');
    await until(t, 'nothing left', async () => (await leftovers('mlp')) === '' && agent.processes === 0);
    await rm(folder, { recursive: true });
  },
);

test.serial('without GPUs a job trains on processor cores', async (t) => {
  const { folder, file } = await storage('cores', (spec) => {
    spec['devices'] = { resource: 'cpu', min: 2, max: 2 };
    Object.assign(spec['training'] ?? {}, { steps: 3000 });
  });
  await plane.kubectl('apply', '-f', file);
  await until(t, 'Complete', () => hasCondition('cores', 'Complete'));
  const { status } = await plane.readJob('cores');
  t.is(status?.devices, 2);
  t.regex(status?.topology?.sources.join('\n') ?? '', /device cpu: .*a share of what the node can give/);
  const used = status?.conditions?.find(({ type }) => type === 'DevicesUsed');
  t.deepEqual([used?.status, used?.message], ['True', 'kernels run by cpu']);
  const { items } = await plane.kubeConfig.makeApiClient(CoreV1Api).listNamespacedPod({ namespace: 'default' });
  t.deepEqual(
    items.map(({ spec }) => spec?.containers[0]?.resources?.limits),
    [{ cpu: '2' }],
    'in one pod, of one node',
  );
  await plane.kubectl('delete', 'tj', 'cores');
  await until(t, 'nothing left', async () => (await leftovers('cores')) === '');
  await rm(folder, { recursive: true });
});

test.serial('a pod that crashes restarts the job from its last checkpoint', async (t) => {
  const { folder, file } = await storage('crash', ({ training, checkpoint }) => {
    Object.assign(training ?? {}, { steps: 3000 });
    Object.assign(checkpoint ?? {}, { everySteps: 200 });
  });
  await plane.kubectl('apply', '-f', file);
  await until(t, 'a checkpoint', async () =>
    (await readdir(join(folder, 'checkpoints')).catch(() => [])).some((name) => /^step-\d+$/.test(name)),
  );
  await agent.crash('crash-0-1');
  await until(t, 'Complete', () => hasCondition('crash', 'Complete'));
  const { status } = await plane.readJob('crash');
  t.is(status?.attempt, 1);
  t.regex(await plane.kubectl('get', 'events', '-o', 'json'), /"reason": "Crashed"/);
  t.true(
    logs.some((line) => /crash-1-0.*"firstStep":[1-9]/.test(line)),
    'the second attempt began at a checkpoint',
  );
  await plane.kubectl('delete', 'tj', 'crash');
  await until(t, 'nothing left', async () => (await leftovers('crash')) === '');
  await rm(folder, { recursive: true });
});

test.serial(
  'with spec.tls devices talk by TLS, with a certificate of their attempt that only its pods mount',
  async (t) => {
    const { folder, file } = await storage('secure', (spec) => Object.assign(spec, { tls: true, suspend: true }));
    const core = plane.kubeConfig.makeApiClient(CoreV1Api);
    await plane.kubectl('apply', '-f', file);
    const { uid = '' } = (await plane.readJob('secure')).metadata;
    const [first, second] = [0, 1].map((attempt) => childNames.certificate('secure', attempt, uid));
    // Somebody else's secret in the place of the first attempt's: its devices must refuse it.
    const stringData = { 'tls.crt': 'none', 'tls.key': 'none', 'ca.crt': 'none' };
    const body = { type: 'kubernetes.io/tls', metadata: { name: first! }, stringData };
    await core.createNamespacedSecret({ namespace: 'default', body });
    await plane.kubectl('patch', 'tj', 'secure', '--type=merge', '-p', '{"spec":{"suspend":false}}');
    await until(t, 'the second attempt', async () => (await plane.readJob('secure')).status?.attempt === 1);
    t.true(logs.some((line) => /secure-0-\d.*tls\.crt or tls\.key in .* cannot be read/.test(line)));

    await until(t, 'Complete', () => hasCondition('secure', 'Complete'));
    const { items } = await core.listNamespacedPod({ namespace: 'default' });
    for (const { spec } of items)
      t.deepEqual(
        spec?.volumes?.flatMap(({ secret }) => secret?.secretName ?? []),
        [childNames.token('secure', 1, uid), second],
      );
    const { type, immutable, metadata } = await core.readNamespacedSecret({ name: second!, namespace: 'default' });
    const owners = metadata?.ownerReferences?.map(({ kind, name }) => `${kind} ${name}`);
    const owner = childNames.attempt('secure', 1, uid);
    t.deepEqual([type, immutable, owners], ['kubernetes.io/tls', true, [`ControllerRevision ${owner}`]]);
    const former = childNames.token('secure', 0, uid);
    await t.throwsAsync(core.readNamespacedSecret({ name: former, namespace: 'default' }), { message: /404/ });
    await t.notThrowsAsync(
      core.deleteNamespacedSecret({ name: first!, namespace: 'default' }),
      "somebody else's is left",
    );
    await plane.kubectl('delete', 'tj', 'secure');
    await until(t, 'nothing left', async () => (await leftovers('secure')) === '');
    await rm(folder, { recursive: true });
  },
);

test.serial('a model that is fetched trains as one in storage does', async (t) => {
  const file = await readFile(join(GOLDEN, 'mlp', 'model.onnx'));
  const sha256 = createHash('sha256').update(file).digest('hex');
  const model = { url: `${modelsUrl}/mlp/model.onnx`, sha256 };
  const { folder, file: job } = await storage('fetched', (spec) => Object.assign(spec, { model }));
  await rm(join(folder, 'model.onnx'));
  await plane.kubectl('apply', '-f', job);
  await until(t, 'Complete', () => hasCondition('fetched', 'Complete'));
  t.true(decodeOnnx(await readFile(join(folder, 'checkpoints', 'trained.onnx'))).nodes.length > 0);
  const policy = await plane.kubectl('get', 'networkpolicy', 'fetched', '-o', 'json');
  t.true(policy.includes('169.254.0.0/16'));
  await plane.kubectl('delete', 'tj', 'fetched');
  await until(t, 'nothing left', async () => (await leftovers('fetched')) === '');
  await rm(folder, { recursive: true });
});

/** A claim of a volume that every node has, and the controller has not. */
async function claimOf(name: string, folder: string): Promise<object> {
  const common = { accessModes: ['ReadWriteMany'], storageClassName: '' };
  const volume = { ...common, capacity: { storage: '1Gi' }, hostPath: { path: folder } };
  const claim = { ...common, volumeName: name, resources: { requests: { storage: '1Gi' } } };
  const core = plane.kubeConfig.makeApiClient(CoreV1Api);
  await core.createPersistentVolume({ body: { metadata: { name }, spec: volume } });
  await core.createNamespacedPersistentVolumeClaim({ namespace: 'default', body: { metadata: { name }, spec: claim } });
  return { persistentVolumeClaim: { claimName: name } };
}

test.serial(
  'a model in a volume that the controller cannot read is read by a pod; a missing one is waited for',
  async (t) => {
    const { folder, file } = await storage('claimed', () => undefined);
    const job: { metadata: object; spec: { training: object } } = parse(await readFile(file, 'utf8'));
    const applied = async (name: string, spec: object): Promise<void> => {
      await writeFile(
        file,
        stringify({ ...job, metadata: { name, namespace: 'default' }, spec: { ...job.spec, ...spec } }),
      );
      await plane.kubectl('apply', '-f', file);
    };
    const source = { storage: await claimOf('data', folder) };
    await applied('claimed', source);
    await until(t, 'Inspecting', async () =>
      (await plane.kubectl('get', 'events', '-o', 'json')).includes('pod claimed-inspect-1 is to read spec.storage'),
    );
    await until(t, 'Complete', () => hasCondition('claimed', 'Complete'));
    t.true(decodeOnnx(await readFile(join(folder, 'checkpoints', 'trained.onnx'))).nodes.length > 0);
    t.notRegex(await plane.kubectl('get', 'pods', '-o', 'name'), /inspect/);
    const plan = await plane.kubectl('get', 'configmap', 'claimed-plan', '-o', 'jsonpath={.data.plan\\.json}');
    await plane.kubectl('delete', 'tj', 'claimed');
    await until(t, 'nothing left', async () => (await leftovers('claimed')) === '');

    // The same plan from the volume.
    await writeFile(join(folder, 'plan.json'), plan);
    await applied('given', { ...source, plan: 'plan.json', search: { seconds: 3600 } });
    await until(t, 'Complete', () => hasCondition('given', 'Complete'));
    t.is(await plane.kubectl('get', 'configmap', 'given-plan', '-o', 'jsonpath={.data.plan\\.json}'), plan);
    await plane.kubectl('delete', 'tj', 'given');

    // What is frozen stays, by a plan for that: the one from before is refused.
    const { initializers } = decodeOnnx(await readFile(join(folder, 'model.onnx')));
    const [first, ...others] = [...initializers.keys()];
    const frozen = { training: { ...job.spec.training, frozen: [first] } };
    await applied('unfit', { ...source, ...frozen, plan: 'plan.json' });
    await until(t, 'Failed', () => hasCondition('unfit', 'Failed'));
    t.regex((await plane.readJob('unfit')).status?.message ?? '', /training\.frozen: trains .*, which is to be frozen/);
    await plane.kubectl('delete', 'tj', 'unfit');
    await until(t, 'nothing left', async () => (await leftovers('unfit')) === '');
    const checkpoint = { directory: 'frozen', everySteps: 10 };
    await applied('frozen', { ...source, ...frozen, checkpoint });
    await until(t, 'Complete', () => hasCondition('frozen', 'Complete'));
    const after = decodeOnnx(await readFile(join(folder, 'frozen', 'trained.onnx'))).initializers;
    t.deepEqual(after.get(first!)?.data, initializers.get(first!)?.data);
    t.true(others.some((name) => String(after.get(name)?.data) !== String(initializers.get(name)?.data)));
    await plane.kubectl('delete', 'tj', 'frozen');
    await until(t, 'nothing left', async () => (await leftovers('frozen')) === '');

    // A model that comes late, and its data later still.
    const noted = async (): Promise<string> => {
      const { reason, message } = (await plane.readJob('tardy')).status ?? {};
      return reason === 'ModelUnavailable' ? (message ?? '') : '';
    };
    const dataset = { safetensors: 'data/late.safetensors', shuffle: false };
    await applied('tardy', { ...source, model: { onnx: 'models/late.onnx' }, dataset, backoffLimit: 0 });
    await until(t, 'ModelUnavailable', async () => (await noted()) !== '');
    const said = await noted();
    t.regex(
      said,
      /^PersistentVolumeClaim 'data' lacks a file: cannot read model 'models\/late\.onnx' in spec\.storage: there is no such file; correct spec\.model\.onnx, or put it there; .*; it is looked for again at /,
    );
    await until(t, 'looked for again', async () => (await noted()) !== said);
    t.regex(await noted(), /^PersistentVolumeClaim 'data' lacks a file: /, 'the condition stayed');
    await mkdir(join(folder, 'models'));
    await cp(join(folder, 'model.onnx'), join(folder, 'models', 'part'));
    await rename(join(folder, 'models', 'part'), join(folder, 'models', 'late.onnx'));
    const lacked = async (): Promise<string> => (await plane.readJob('tardy')).status?.lastFailure ?? '';
    await until(t, 'FileMissing', async () => (await lacked()) !== '');
    t.regex(
      await lacked(),
      /^pod tardy-\d-\d on node gpu-[ab] lacks a file: device \d, cannot read 'data\/late\.safetensors' in .*: there is no such file; put it there, or /,
    );
    await mkdir(join(folder, 'data'));
    await cp(join(folder, 'data.safetensors'), join(folder, 'data', 'part'));
    await rename(join(folder, 'data', 'part'), join(folder, 'data', 'late.safetensors'));
    await until(t, 'Complete', () => hasCondition('tardy', 'Complete'));
    const { attempt, failures } = (await plane.readJob('tardy')).status ?? {};
    t.deepEqual(failures, { FileMissing: attempt });
    await plane.kubectl('delete', 'tj', 'tardy');

    // One that is there, but damaged.
    await writeFile(join(folder, 'models', 'late.onnx'), 'damaged');
    await utimes(join(folder, 'models', 'late.onnx'), 0, 0);
    await applied('damaged', { ...source, model: { onnx: 'models/late.onnx' } });
    await until(t, 'ModelUnreadable', () => hasCondition('damaged', 'Failed', 'ModelUnreadable'));
    t.regex((await plane.readJob('damaged')).status?.message ?? '', /models\/late\.onnx is not a complete ONNX file/);
    for (const name of ['tardy', 'damaged']) {
      await plane.kubectl('delete', 'tj', name, '--ignore-not-found');
      await until(t, 'nothing left', async () => (await leftovers(name)) === '');
    }
    await rm(folder, { recursive: true });
  },
);

test.serial('a job that is wrong, asks too much, or names a missing model says so in its conditions', async (t) => {
  const cases: [string, (spec: Record<string, unknown>) => void, string, string, RegExp][] = [
    [
      'greedy',
      (spec) => Object.assign(spec, { devices: { min: 5, max: 8 } }),
      'TopologyDiscovered',
      'InsufficientDevices',
      /spec\.devices\.min is 5/,
    ],
    [
      'modelless',
      (spec) => Object.assign(spec, { model: { onnx: 'none.onnx' } }),
      'PlanFound',
      'ModelUnavailable',
      /'none\.onnx' in hostPath .*: there is no such file on the controller's own node; put it there, or into a ConfigMap; it is looked for again at /,
    ],
    [
      'elsewhere',
      (spec) => Object.assign(spec, { model: { url: 'https://169.254.169.254/m.onnx', sha256: '0'.repeat(64) } }),
      'Failed',
      'SearchFailed',
      /https:\/\/169\.254\.169\.254\/m\.onnx may not be fetched: its site is not one of those that are/,
    ],
    [
      'changed',
      (spec) => Object.assign(spec, { model: { url: `${modelsUrl}/mlp/model.onnx`, sha256: '0'.repeat(64) } }),
      'Failed',
      'SearchFailed',
      /has sha256 [0-9a-f]{64}; expected 0{64}/,
    ],
    [
      'inconsistent',
      (spec) => Object.assign(spec, { devices: { min: 3, max: 2 } }),
      'Accepted',
      'InvalidSpec',
      /spec\.devices\.min/,
    ],
  ];
  for (const [name, change, type, reason, message] of cases) {
    const { folder, file } = await storage(name, change);
    await plane.kubectl('apply', '-f', file);
    let found: { message: string } | undefined;
    await until(t, `${name}: ${reason}`, async () => {
      const { status } = await plane.readJob(name);
      found = status?.conditions?.find((condition) => condition.type === type && condition.reason === reason);
      return found !== undefined;
    });
    t.regex(found?.message ?? '', message);
    await plane.kubectl('delete', 'tj', name);
    await rm(folder, { recursive: true });
  }
});

test.serial('the API server refuses a job with a wrong type or without a model', async (t) => {
  const { folder, file } = await storage('refused', ({ training }) =>
    Object.assign(training ?? {}, { batchSize: 'many' }),
  );
  await t.throwsAsync(plane.kubectl('apply', '-f', file), { message: /batchSize/ });
  await rm(folder, { recursive: true });
});
