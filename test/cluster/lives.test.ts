import type { V1Pod } from '@kubernetes/client-node';
import { CoreV1Api } from '@kubernetes/client-node';
import test from 'ava';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { JobState } from '../../operator/api/resource.ts';
import { CONDITION_TYPES } from '../../operator/api/resource.ts';
import type { ControllerConfig } from '../../operator/settings.ts';
import type { Controller } from '../../operator/controller.ts';
import { startController } from '../../operator/controller.ts';
import { METRICS_PORT } from '../../operator/decide/children.ts';
import type { World } from '../support/cluster/world.ts';
import { defaultConfig, startWorld } from '../support/cluster/world.ts';

const CONFIG: ControllerConfig = { ...defaultConfig(), concurrentSearches: 2, placementSeconds: 3, progressSeconds: 1 };
/** A model that is read from a ConfigMap. */
const MODEL = new URL('../golden/mlp/model.onnx', import.meta.url).pathname;
/** Where the metrics of a played pod are. */
const LEADER = '127.88.0.1';
const DONE = { phase: 'Succeeded' };
const ended = (exitCode: number, reason?: string): object => ({
  phase: 'Failed',
  containerStatuses: [
    {
      name: 'worker',
      image: '',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode, reason } },
    },
  ],
});

/** What pods of a job do, by job: told by its name's first word. */
const PLAYS: Readonly<Record<string, (attempt: number, index: number) => object | undefined>> = {
  crash: (attempt, index) => (attempt === 0 && index === 0 ? ended(1) : attempt === 0 ? undefined : DONE),
  oom: (attempt) => (attempt === 0 ? ended(137, 'OOMKilled') : DONE),
  preempted: (attempt) => (attempt < 2 ? ended(143) : DONE),
  hopeless: () => ended(1),
  endless: () => undefined,
  moving: () => ({ podIP: LEADER }),
};

function play({ metadata }: V1Pod): object | undefined {
  const [, name = '', attempt, index] = /^([a-z]+)-(\d+)-(\d+)$/.exec(metadata?.name ?? '') ?? [];
  return (PLAYS[name] ?? (() => DONE))(Number(attempt), Number(index));
}

let world: World;
let controller: Controller;

test.before(async () => {
  world = await startWorld(play);
  for (const name of ['gpu-a', 'gpu-b']) await world.createNode(name);
  controller = await startController(world.plane.kubeConfig, CONFIG, (line) => world.logs.push(JSON.stringify(line)));
});

test.after.always(async () => {
  await controller?.stop();
  await world?.stop();
});

async function reaches(name: string, state: JobState, reason?: string): Promise<void> {
  await world.until(`${name}: ${state} ${reason ?? ''}`, async () => {
    const { status } = await world.read(name);
    return status?.state === state && (reason === undefined || status.reason === reason);
  });
}

async function remove(name: string): Promise<void> {
  await world.plane.kubectl('delete', 'tj', name);
  await world.until(`${name}: nothing left`, async () => {
    const kinds = 'pods,configmaps,secrets,controllerrevisions,services,networkpolicies';
    return (await world.plane.kubectl('get', kinds, '-l', `soapstone.dev/job=${name}`, '-o', 'name')).trim() === '';
  });
}

interface Life {
  readonly name: string;
  readonly spec?: Readonly<Record<string, unknown>>;
  readonly state: JobState;
  readonly reason: string;
  readonly attempt: number;
  readonly failures: object;
}

const LIVES: readonly Life[] = [
  { name: 'good', state: 'Complete', reason: 'TrainingComplete', attempt: 0, failures: {} },
  { name: 'crash', state: 'Complete', reason: 'TrainingComplete', attempt: 1, failures: { Crashed: 1 } },
  { name: 'oom', state: 'Complete', reason: 'TrainingComplete', attempt: 1, failures: { OutOfMemory: 1 } },
  {
    name: 'preempted',
    spec: { backoffLimit: 0 },
    state: 'Complete',
    reason: 'TrainingComplete',
    attempt: 2,
    failures: { Preempted: 2 },
  },
  {
    name: 'hopeless',
    spec: { backoffLimit: 1 },
    state: 'Failed',
    reason: 'BackoffLimitExceeded',
    attempt: 1,
    failures: { Crashed: 2 },
  },
  {
    name: 'endless',
    spec: { activeDeadlineSeconds: 4 },
    state: 'Failed',
    reason: 'DeadlineExceeded',
    attempt: 0,
    failures: {},
  },
];

for (const { name, spec, state, reason, attempt, failures } of LIVES) {
  test.serial(
    `life: ${name} ends ${state} (${reason}) in attempt ${attempt}, and deleting it leaves nothing`,
    async (t) => {
      await world.apply(name, spec);
      await reaches(name, state, reason);
      const { status, metadata } = await world.read(name);
      t.deepEqual([status?.attempt, status?.failures], [attempt, failures]);
      t.is(status?.conditions?.length, CONDITION_TYPES.length);
      t.true(status?.conditions?.every(({ observedGeneration }) => observedGeneration === metadata.generation));
      // The status is written before pods are deleted, so that a controller killed in between knows what it was about to do.
      const runsOn = async (): Promise<boolean> =>
        (await world.pods()).some(({ status: { phase } = {} }) => phase === 'Running');
      await world.until(`${name}: no pod runs on`, async () => !(await runsOn()), 10);
      await remove(name);
    },
  );
}

test.serial('suspend gives the pods back, resume goes on in a new attempt', async (t) => {
  await world.apply('endless');
  await reaches('endless', 'Running');
  await world.plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"suspend":true}}');
  await reaches('endless', 'Suspended', 'SuspendRequested');
  await world.until('no pods', async () => (await world.pods()).length === 0);
  await world.plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"suspend":false}}');
  await reaches('endless', 'Running');
  t.is((await world.read('endless')).status?.attempt, 1);
  await remove('endless');
});

test.serial('a lost node leaves the job on the other, by a new plan; ttlSecondsAfterFinished deletes it', async (t) => {
  await world.createNode('gpu-c');
  await world.createNode('gpu-d');
  for (const node of ['gpu-a', 'gpu-b']) await world.plane.kubectl('cordon', node);
  await world.apply('endless');
  await reaches('endless', 'Running');
  t.is((await world.read('endless')).status?.devices, 2);
  await world.plane.kubectl('delete', 'node', 'gpu-d');
  await world.until('on one node', async () => {
    const { status } = await world.read('endless');
    return status?.state === 'Running' && status.devices === 1 && status.failures?.NodeLost === 1;
  });
  const nodes = (await world.pods()).map(({ spec }) => spec?.nodeName);
  t.deepEqual(nodes, ['gpu-c']);
  const limits = '{"spec":{"activeDeadlineSeconds":1,"ttlSecondsAfterFinished":0}}';
  await world.plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', limits);
  await world.until('deleted', async () => (await world.plane.kubectl('get', 'tj', '-o', 'name')) === '');
  for (const node of ['gpu-a', 'gpu-b']) await world.plane.kubectl('uncordon', node);
  await world.plane.kubectl('delete', 'node', 'gpu-c');
});

/** The metrics of a leader that takes so long for an iteration, after so many steps. */
function leaderMetrics(step: number, iterationSeconds: number, checkpointStep: number): string {
  return [
    `soapstone_step ${step}`,
    'soapstone_steps 1000000',
    'soapstone_loss 0.25',
    `soapstone_checkpoint_step ${checkpointStep}`,
    `soapstone_iteration_seconds_count{device="0"} ${step}`,
    `soapstone_iteration_seconds_sum{device="0"} ${step * iterationSeconds}`,
    `soapstone_device_compute_seconds_total{device="0"} ${(step * iterationSeconds) / 2}`,
    'soapstone_link_measured_bytes_per_second{device="0",peer="1"} 100000000',
    'soapstone_link_planned_bytes_per_second{device="0",peer="1"} 1250000000',
  ].join('\n');
}

test.serial(
  'a running job shows what it measures beside what was predicted, and moves to better nodes at its next checkpoint',
  async (t) => {
    let [step, checkpointStep] = [0, 0];
    const server = createServer((_, response) => response.end(leaderMetrics((step += 100), 0.05, checkpointStep)));
    await new Promise<void>((resolve) => server.listen(METRICS_PORT, LEADER, resolve));
    t.teardown(() => void server.close());
    await world.apply('moving', {
      // Large enough to gain by faster devices.
      model: { builtin: { name: 'alexnet' } },
      devices: { min: 1, max: 2 },
      checkpoint: { directory: 'checkpoints', everySteps: 100 },
      moves: { minGainPercent: 5, minIntervalSeconds: 1 },
    });
    await reaches('moving', 'Running');
    const told = async (type: string, reason: string): Promise<void> =>
      world.until(`moving: ${type} ${reason}`, async () => {
        const { status } = await world.read('moving');
        return status?.conditions?.some((condition) => condition.type === type && condition.reason === reason) ?? false;
      });
    await told('PredictionAccurate', 'SlowerThanPredicted');
    await told('MovePlanned', 'NoBetterNodes');
    await told('LinksAccurate', 'LinkSlowerThanLabel');
    t.regex(
      await world.plane.kubectl('describe', 'tj', 'moving'),
      /LinkSlowerThanLabel [^\n]* from gpu-a\/0 to gpu-b\/0 0\.1 GB\/s were measured, 1\.25 GB\/s planned by default: 10 Gb\/s[^\n]*set label soapstone\.dev\/inter-node-bandwidth-gbps=0\.8/,
    );
    const { status } = await world.read('moving');
    t.deepEqual([status?.measured?.iteration, status?.measured?.steps], ['50.0 ms', 1_000_000]);
    t.regex(await world.plane.kubectl('get', 'tj', 'moving'), /MEASURED +PROGRESS[^]*50\.0 ms +0 %/);

    await world.createNode('gpu-z', 2, { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3' });
    await told('MovePlanned', 'AwaitingCheckpoint');
    t.deepEqual(
      (await world.pods()).map(({ spec }) => spec?.nodeName).toSorted((a = '', b = '') => a.localeCompare(b)),
      ['gpu-a', 'gpu-b'],
    );
    checkpointStep = step;
    await world.until('on the better node', async () => {
      const { status: now } = await world.read('moving');
      const pods = await world.pods();
      return now?.state === 'Running' && now.attempt === 1 && pods.every(({ spec }) => spec?.nodeName === 'gpu-z');
    });
    t.deepEqual((await world.read('moving')).status?.failures, {});
    t.regex(
      await world.plane.kubectl('get', 'events', '-o', 'json'),
      /the job moved from 2 devices \(P100\) on gpu-a, gpu-b to 2 devices \(H100\) on gpu-z: 50\.0 ms an iteration become/,
    );
    await remove('moving');
    await world.plane.kubectl('delete', 'node', 'gpu-z');
  },
);

test.serial('a plan that is taken from a running job ends its pods, and another is made', async (t) => {
  const { plane } = world;
  await world.apply('endless');
  await reaches('endless', 'Running');
  await plane.kubectl('patch', 'configmap', 'endless-plan', '--type=merge', '-p', '{"data":{"plan.json":"{"}}');
  // A controller that has just made a plan has it in mind; with the spec's generation it reads it anew.
  await plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"backoffLimit":5}}');
  await world.until('PlanLost', async () =>
    /"reason": "PlanLost"/.test(await plane.kubectl('get', 'events', '-o', 'json')),
  );
  await reaches('endless', 'Running');
  const { status } = await world.read('endless');
  t.deepEqual([status?.attempt, status?.failures], [1, { Evicted: 1 }]);
  await plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"training":{"batchSize":32}}}');
  await reaches('endless', 'Invalid', 'ImmutableFieldChanged');
  t.is((await world.pods()).length, 2, 'its pods run on');
  const invalid = await world.read('endless');
  t.regex(
    invalid.status?.message ?? '',
    /^spec\.training\.batchSize was changed from 16 to 32 after the job got its pods/,
  );
  await plane.kubectl('delete', 'pod', 'endless-1-0');
  const podsReady = async (): Promise<string | undefined> =>
    (await world.read('endless')).status?.conditions?.find(({ type }) => type === 'PodsReady')?.message;
  await world.until(
    'the deleted pod is told',
    async () => (await podsReady())?.startsWith('1 of 2 pods are there') ?? false,
  );
  await plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"suspend":true}}');
  await reaches('endless', 'Suspended', 'SuspendRequested');
  await world.until('no pods', async () => (await world.pods()).length === 0);
  await plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"suspend":false}}');
  await reaches('endless', 'Invalid', 'ImmutableFieldChanged');
  await plane.kubectl('patch', 'tj', 'endless', '--type=merge', '-p', '{"spec":{"training":{"batchSize":16}}}');
  await reaches('endless', 'Running');
  t.is((await world.read('endless')).status?.attempt, 2);
  await remove('endless');
});

test.serial(
  'a job that is applied before its ConfigMap waits for it, says when it looks again, and goes on by itself',
  async (t) => {
    const { plane } = world;
    await world.apply('late', { model: { onnx: 'model.onnx' }, storage: { configMap: { name: 'late-model' } } });
    await reaches('late', 'Searching', 'ModelUnavailable');
    const { message = '' } = (await world.read('late')).status ?? {};
    t.regex(message, /^ConfigMap 'late-model' could not be read: .*404.*; create it, or correct spec\.storage; /);
    const again = Date.parse(/it is looked for again at (\S+)$/.exec(message)?.[1] ?? '');
    // One time more without it: the condition stays, with a later time.
    await world.until('looked for again', async () => {
      const { reason, message: next = '' } = (await world.read('late')).status ?? {};
      t.is(reason, 'ModelUnavailable');
      return Date.parse(/it is looked for again at (\S+)$/.exec(next)?.[1] ?? '') > again;
    });
    // The ConfigMap without the key is waited for as none is.
    await plane.kubectl('create', 'configmap', 'late-model', '--from-literal=other=x');
    await world.until('the key is missing', async () => {
      const { reason, message: next = '' } = (await world.read('late')).status ?? {};
      t.is(reason, 'ModelUnavailable');
      return next.startsWith("ConfigMap 'late-model' has no 'model.onnx'; it has other: add it");
    });
    const binaryData = { 'model.onnx': (await readFile(MODEL)).toString('base64') };
    const body = { metadata: { name: 'late-model' }, binaryData };
    const core = plane.kubeConfig.makeApiClient(CoreV1Api);
    await core.replaceNamespacedConfigMap({ name: 'late-model', namespace: 'default', body });
    await reaches('late', 'Complete');
    const { items }: { items: { reason: string; regarding: { name: string } }[] } = JSON.parse(
      await plane.kubectl('get', 'events.events.k8s.io', '-o', 'json'),
    );
    const told = items.filter(({ reason, regarding }) => reason === 'ModelUnavailable' && regarding.name === 'late');
    t.is(told.length, 1, 'it is told once');
    await remove('late');
    await plane.kubectl('delete', 'configmap', 'late-model');
  },
);

test.serial(
  "a pod that has the name of a job's own is told with its owner, holds the others back, and is left as it is",
  async (t) => {
    const { plane } = world;
    const owner = { apiVersion: 'apps/v1', kind: 'StatefulSet', name: 'taken-0', uid: 'another' };
    const foreign = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'taken-0-1', namespace: 'default', ownerReferences: [owner] },
      spec: { containers: [{ name: 'x', image: 'x' }] },
    };
    await plane.kubeConfig.makeApiClient(CoreV1Api).createNamespacedPod({ namespace: 'default', body: foreign });
    await world.apply('taken');
    await reaches('taken', 'Starting', 'NameTaken');
    const { message = '' } = (await world.read('taken')).status ?? {};
    t.regex(
      message,
      /^Pod default\/taken-0-1 is there already and belongs to StatefulSet taken-0: delete or rename it/,
    );
    t.deepEqual(
      (await world.pods()).map(({ metadata }) => metadata?.name).filter((name) => name?.startsWith('taken')),
      ['taken-0-1'],
    );
    await plane.kubectl('delete', 'pod', 'taken-0-1', '--force', '--grace-period=0');
    await reaches('taken', 'Complete');
    await remove('taken');
  },
);

test.serial(
  'a field that there is not is told, with the one that was meant, where kubectl and the API server let it pass',
  async (t) => {
    await t.throwsAsync(world.apply('good', { backofLimit: 2 }), { message: /unknown field "backofLimit"/ });
    await world.apply('good', { backofLimit: 2 }, 'default', ['--validate=false']);
    await reaches('good', 'Complete');
    const accepted = (await world.read('good')).status?.conditions?.find(({ type }) => type === 'Accepted');
    t.deepEqual([accepted?.status, accepted?.reason], ['True', 'UnknownFields']);
    t.regex(accepted?.message ?? '', /spec\.backofLimit: unknown field; .*did you mean backoffLimit\?/);
    await remove('good');
  },
);

test.serial('pods that cannot all be placed are given back, and the job waits for devices', async (t) => {
  await world.apply('endless', {
    devices: { min: 2, max: 2 },
    template: { spec: { nodeSelector: { never: 'there' } } },
  });
  await reaches('endless', 'Starting', 'Unschedulable');
  await world.until('given back', async () => ((await world.read('endless')).status?.failures?.NotPlaced ?? 0) > 0);
  t.regex(await world.plane.kubectl('get', 'events', '-o', 'json'), /all are given back/);
  t.truthy((await world.read('endless')).status?.unplaced, 'the next plan leaves them out where there are others');
  await remove('endless');
});

for (const [what, resource, hard, message] of [
  ['is used up', 'count/configmaps', '1', /exceeded quota: none/],
  ['demands what pods do not say', 'limits.memory', '1Ti', /failed quota: none: must specify limits\.memory/],
] as const) {
  test.serial(`a quota that ${what} is told, and lifted the job goes on`, async (t) => {
    await world.plane.kubectl('create', 'quota', 'none', `--hard=${resource}=${hard}`);
    // What kube-controller-manager would count.
    const counted = JSON.stringify({ status: { hard: { [resource]: hard }, used: { [resource]: '1' } } });
    await world.plane.kubectl('patch', 'quota', 'none', '--subresource=status', '--type=merge', '-p', counted);
    await world.apply('good');
    await reaches('good', 'Starting', 'QuotaExceeded');
    t.regex((await world.read('good')).status?.message ?? '', message);
    await world.plane.kubectl('delete', 'quota', 'none');
    await reaches('good', 'Complete');
    await remove('good');
  });
}

test.serial('a given plan is used in place of a search; one for another model is refused', async (t) => {
  const { plane } = world;
  await world.apply('good', { devices: { min: 1, max: 1 } });
  await reaches('good', 'Complete');
  const planned = await plane.kubectl('get', 'configmap', 'good-plan', '-o', 'jsonpath={.data.plan\\.json}');
  await remove('good');
  await plane.kubectl('create', 'configmap', 'given', `--from-literal=plan.json=${planned}`);
  const storage = { configMap: { name: 'given' } };
  const given = { storage, plan: 'plan.json', search: { seconds: 3600 } };
  await world.apply('good', given);
  await reaches('good', 'Complete');
  t.is(await plane.kubectl('get', 'configmap', 'good-plan', '-o', 'jsonpath={.data.plan\\.json}'), planned);
  await remove('good');
  await world.apply('other', { ...given, model: { builtin: { name: 'alexnet' } } });
  await reaches('other', 'Failed', 'SearchFailed');
  t.regex((await world.read('other')).status?.message ?? '', /is for another model/);
  await remove('other');
});
