import type { CoreV1Api, V1Pod } from '@kubernetes/client-node';
import { ApiException } from '@kubernetes/client-node';
import test from 'ava';
import * as fc from 'fast-check';
import { gzipSync } from 'node:zlib';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { JobStatus } from '../../operator/api/resource.ts';
import { decide } from '../../operator/decide/decide.ts';
import type { DecideOptions, Decision, Observed } from '../../operator/decide/types.ts';
import { fetchPolicy } from '../../operator/planning/fetch-policy.ts';
import type { JobFiles } from '../../operator/planning/model-file.ts';
import { readJobFiles } from '../../operator/planning/model-file.ts';
import { inspectStorage } from '../../runtime/inspect/inspect.ts';
import { FetchError } from '../../soap/fetch/fetch.ts';
import { handoffLines, MAX_HANDOFF_CHARACTERS, readHandoff } from '../../soap/job/handoff.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { gpuNode, jobResource } from '../support/kubernetes.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const GOLDEN = new URL('../golden/mlp/', import.meta.url).pathname;
const OPTIONS = optionsAfter(0);
const CLAIM = { persistentVolumeClaim: { claimName: 'data' } };
const SPEC = { model: { onnx: 'models/mlp.onnx', unrollSteps: 3 }, storage: CLAIM };
const NODES = [gpuNode('a', 1), gpuNode('b', 1)];

function visit(pods: readonly V1Pod[], parts: Partial<Observed> = {}, options: Partial<DecideOptions> = {}): Decision {
  const resource = jobResource(SPEC);
  const observed: Observed = {
    resource,
    nodes: NODES,
    pods,
    plan: undefined,
    search: { kind: 'none' },
    applyError: undefined,
    ...parts,
  };
  return decide(observed, { ...OPTIONS, ...options });
}

/** The pod that the controller would make, with a status. */
function inspector(status: V1Pod['status'], metadata: V1Pod['metadata'] = {}): V1Pod {
  const owner = { apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid: 'job-uid' };
  const labels = { 'soapstone.dev/job': 'job', 'soapstone.dev/inspects': '1' };
  const own = { name: 'job-inspect-1', namespace: 'default', labels, ownerReferences: [owner] };
  return { metadata: { ...own, ...metadata }, spec: { nodeName: 'a', containers: [] }, ...(status && { status }) };
}

const ended = (exitCode: number, message?: string, reason?: string): V1Pod['status'] => ({
  phase: 'Failed',
  containerStatuses: [
    {
      name: 'inspect',
      image: '',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode, ...(message && { message }), ...(reason && { reason }) } },
    },
  ],
});

const waiting = (reason: string): V1Pod['status'] => ({
  phase: 'Pending',
  containerStatuses: [
    { name: 'inspect', image: '', imageID: '', ready: false, restartCount: 0, state: { waiting: { reason } } },
  ],
});

interface Case {
  readonly title: string;
  readonly pod: V1Pod;
  readonly state: JobStatus['state'];
  readonly reason: string;
  readonly message: RegExp;
  /** Whether the pod is deleted, so that another follows. */
  readonly deleted?: boolean;
}

const CASES: readonly Case[] = [
  {
    title: 'it runs',
    pod: inspector({ phase: 'Running' }),
    state: 'Searching',
    reason: 'Inspecting',
    message: /reads spec\.storage/,
  },
  {
    title: 'its queue holds it',
    pod: { ...inspector({ phase: 'Pending' }), spec: { containers: [], schedulingGates: [{ name: 'kueue' }] } },
    state: 'Searching',
    reason: 'Inspecting',
    message: /once its queue admits it/,
  },
  {
    title: 'it finds no room',
    pod: inspector({
      phase: 'Pending',
      conditions: [
        { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: 'volume node affinity conflict' },
      ],
    }),
    state: 'Searching',
    reason: 'Unschedulable',
    message: /model is not read: .*volume node affinity conflict/,
  },
  {
    title: 'its image is not there',
    pod: inspector(waiting('ImagePullBackOff')),
    state: 'Searching',
    reason: 'ImagePullFailed',
    message: /cannot pull its image/,
  },
  {
    title: 'the file is damaged',
    pod: inspector(ended(2, 'soapstone: models/mlp.onnx is not a complete ONNX file (7 bytes)\n')),
    state: 'Failed',
    reason: 'ModelUnreadable',
    message: /exit code 2: models\/mlp\.onnx is not a complete ONNX file.*relative to the root of spec\.storage/s,
  },
  {
    title: 'it takes too much memory',
    pod: inspector(ended(137, undefined, 'OOMKilled')),
    state: 'Failed',
    reason: 'ModelUnreadable',
    message: /used more memory than its limit/,
  },
  {
    title: 'it takes too long',
    pod: inspector({ ...ended(143), reason: 'DeadlineExceeded' }),
    state: 'Failed',
    reason: 'ModelUnreadable',
    message: /did not read spec\.storage within 600 s/,
  },
  {
    title: 'it is evicted',
    pod: inspector({ phase: 'Failed', reason: 'Evicted', message: 'the node was low on memory' }),
    state: 'Searching',
    reason: 'Evicted',
    message: /low on memory; another pod/,
    deleted: true,
  },
  {
    title: 'its node is lost',
    pod: { ...inspector({ phase: 'Running' }), spec: { nodeName: 'gone', containers: [] } },
    state: 'Searching',
    reason: 'NodeLost',
    message: /node gone/,
    deleted: true,
  },
];

for (const { title, pod, state, reason, message, deleted = false } of CASES) {
  test(`a pod reads the model, and ${title}: ${state}, ${reason}`, (t) => {
    const { status, deletePods, pods, startSearch } = visit([pod]);
    t.deepEqual([status.state, status.reason], [state, reason]);
    t.regex(status.message, message);
    t.is(deletePods.length > 0, deleted);
    t.deepEqual([pods, startSearch], [[], undefined]);
  });
}

test('the pod is restricted, reads storage only, has no device and no token, and goes where the job may go', (t) => {
  const template = {
    spec: {
      imagePullSecrets: [{ name: 'registry' }],
      securityContext: { fsGroup: 2000 },
      containers: [{ name: 'worker', image: 'mirror/soapstone:1', resources: { limits: { memory: '64Gi' } } }],
      volumes: [{ name: 'scratch', emptyDir: {} }],
    },
  };
  const resource = jobResource({
    ...SPEC,
    template,
    devices: { nodeSelector: { zone: 'x' }, tolerations: [{ key: 'gpu' }] },
  });
  const nodes = [gpuNode('a', 8, { zone: 'x' })];
  resource.metadata.labels = { 'kueue.x-k8s.io/queue-name': 'q', 'kueue.x-k8s.io/priority-class': 'p', other: 'x' };
  const [pod, ...more] = visit([], { resource, nodes }).pods;
  t.deepEqual(more, []);
  const { metadata, spec }: V1Pod = { ...pod };
  t.is(metadata?.ownerReferences?.[0]?.uid, 'job-uid');
  t.like(metadata?.labels, { 'kueue.x-k8s.io/queue-name': 'q', 'kueue.x-k8s.io/priority-class': 'p' });
  t.deepEqual(
    [metadata?.labels?.['other'], metadata?.labels?.['kueue.x-k8s.io/pod-group-name']],
    [undefined, undefined],
  );
  t.is(spec?.activeDeadlineSeconds, 600);
  t.deepEqual(spec?.nodeSelector, { zone: 'x' });
  t.deepEqual(spec?.tolerations, [{ key: 'gpu' }]);
  t.deepEqual(spec?.imagePullSecrets, [{ name: 'registry' }]);
  t.like(spec?.securityContext, { runAsNonRoot: true, fsGroup: 2000, seccompProfile: { type: 'RuntimeDefault' } });
  t.false(spec?.automountServiceAccountToken);
  t.deepEqual(spec?.volumes, [{ name: 'storage', ...CLAIM }]);
  t.is(spec?.containers.length, 1);
  const [container] = spec?.containers ?? [];
  t.like(container, { name: 'inspect', image: 'mirror/soapstone:1', command: ['soapstone', 'inspect'] });
  t.deepEqual(container?.resources, { requests: { cpu: '100m' }, limits: { memory: '64Gi' } });
  t.true(container?.volumeMounts?.every(({ readOnly }) => readOnly));
  t.like(container?.securityContext, { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  const order: unknown = JSON.parse(container?.env?.find(({ name }) => name === 'SOAPSTONE_INSPECT')?.value ?? '');
  t.deepEqual(order, { onnx: 'models/mlp.onnx', unrollSteps: 3, batch: 16 });
});

test('a quota that lets the pods of the job in lets in the one that reads: it has their resources, but for devices', (t) => {
  const resourcesOf = (resources: unknown): unknown => {
    const template = { spec: { containers: [{ name: 'worker', resources }] } };
    const [pod] = visit([], { resource: jobResource({ ...SPEC, template }) }).pods;
    const { spec }: V1Pod = { ...pod };
    return spec?.containers[0]?.resources;
  };
  t.deepEqual(
    resourcesOf({
      requests: { cpu: 2, memory: '8Gi', 'rdma/hca': 1 },
      limits: { cpu: '4', memory: '8Gi', 'ephemeral-storage': '1Gi', 'nvidia.com/gpu': 1 },
    }),
    { requests: { cpu: '2', memory: '8Gi' }, limits: { cpu: '4', memory: '8Gi', 'ephemeral-storage': '1Gi' } },
  );
  for (const none of [undefined, null, 'x', { limits: null }, { limits: { 'nvidia.com/gpu': 1 } }])
    t.deepEqual(resourcesOf(none), { requests: { cpu: '100m', memory: '256Mi' } });
});

test('no pod where the controller can read, where it may not read logs, or where too few devices are free', (t) => {
  const none = (spec: object, options: Partial<DecideOptions> = {}): void => {
    const { pods, startSearch } = visit([], { resource: jobResource({ ...SPEC, ...spec }) }, options);
    t.deepEqual([pods, startSearch?.inspector], [[], undefined], JSON.stringify(spec));
    t.truthy(startSearch);
  };
  none({ storage: { configMap: { name: 'x' } } });
  none({ storage: { hostPath: { path: '/x' } } }, { hostPathModels: true });
  none({ model: { builtin: { name: 'lenet' } } });
  none({}, { inspectPods: false });
  t.deepEqual(visit([], { nodes: [] }).pods, []);
  t.is(visit([], { resource: jobResource({ ...SPEC, storage: { hostPath: { path: '/x' } } }) }).pods.length, 1);
});

test('a node that is not ready is looked at again when it counts as lost', (t) => {
  const since = new Date(NOW.getTime() - 20_000);
  const [node = {}] = NODES;
  const conditions = [{ type: 'Ready', status: 'Unknown', lastTransitionTime: since }];
  const nodes = [{ ...node, status: { ...node.status, conditions } }, gpuNode('c', 2)];
  const { status, requeueAfterMs } = visit([inspector({ phase: 'Running' })], { nodes });
  t.deepEqual([status.reason, requeueAfterMs], ['Inspecting', 40_001]);
});

test('once it has read, the search begins with its log; once there is a plan, and when the job is suspended, it goes', (t) => {
  const done = inspector({ phase: 'Succeeded' });
  const { startSearch, pods, deletePods } = visit([done]);
  t.is(startSearch?.inspector, 'job-inspect-1');
  t.deepEqual([pods, deletePods], [[], []]);
  const suspended = visit([done], { resource: jobResource({ ...SPEC, suspend: true }) });
  t.deepEqual(suspended.deletePods, [{ name: 'job-inspect-1', force: false }]);
  t.is(suspended.status.attempt, 0, 'no attempt was made');
  const older = inspector({ phase: 'Running' }, { name: 'job-inspect-0' });
  t.deepEqual(visit([older]).deletePods, [{ name: 'job-inspect-0', force: false }]);
  const refused = visit([], { applyError: { code: 403, message: 'exceeded quota: pods' } });
  t.deepEqual([refused.status.reason, refused.pods.length], ['QuotaExceeded', 1]);
});

function jobOf(spec: object): Parameters<typeof readJobFiles>[0] {
  const parsed = parseTrainingJob(jobResource({ ...SPEC, ...spec }));
  if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
  return parsed.job;
}

/** What the controller makes of a pod's log. */
function filesFrom(log: string, spec: object = {}): Promise<JobFiles> {
  const core: Pick<CoreV1Api, 'readNamespacedPodLog' | 'readNamespacedConfigMap'> = {
    readNamespacedPodLog: ({ limitBytes }) => Promise.resolve(log.slice(0, limitBytes)),
    readNamespacedConfigMap: () => Promise.reject(new Error('nobody asks for it')),
  };
  const settings = { modelSites: '', modelPrivateAddresses: false, modelMegabytes: 1, modelSeconds: 1 };
  const source = { core, hostPathAllowed: false, fetching: fetchPolicy(settings) };
  return readJobFiles(jobOf(spec), 'default', 'job-inspect-1', source);
}

test('what a pod writes is what the controller reads: the graph without weights, and the plan', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'plan.json'), '{"a": "plan"}');
  await writeFile(join(folder, 'm.onnx'), await readFile(join(GOLDEN, 'model.onnx')));
  const lines: string[] = ['something that a wrapper says'];
  const inspect = (order: object): Promise<void> =>
    inspectStorage({ SOAPSTONE_STORAGE: folder, SOAPSTONE_INSPECT: JSON.stringify(order) }, (line) => lines.push(line));
  await inspect({ onnx: 'm.onnx', plan: 'plan.json', batch: 8 });
  const log = lines.join('\n');
  t.true(log.length < (await readFile(join(folder, 'm.onnx'))).length / 10);
  const { modelFile, withoutWeights, planFile } = await filesFrom(log, { plan: 'plan.json' });
  t.true(withoutWeights);
  t.is(planFile, '{"a": "plan"}');
  t.true(decodeOnnx(modelFile ?? new Uint8Array(), 'it', 'zeros').nodes.length > 2);
  await t.throwsAsync(inspect({ onnx: '../m.onnx', batch: 8 }), { message: /leads out of the job's storage/ });
  await t.throwsAsync(inspect({ onnx: 'n.onnx', batch: 8 }), { message: /cannot read model 'n\.onnx'.*no such file/ });
  await t.throwsAsync(inspect({ plan: 'n.json', batch: 8 }), { message: /cannot read plan 'n\.json'.*spec\.plan/ });
  await writeFile(join(folder, 'm.onnx'), 'damaged');
  await t.throwsAsync(inspect({ onnx: 'm.onnx', batch: 8 }), { message: /m\.onnx is not a complete ONNX file/ });
  await t.throwsAsync(
    inspectStorage({}, () => undefined),
    { message: /SOAPSTONE_INSPECT and SOAPSTONE_STORAGE must be set/ },
  );
});

test('a log that lies ends in a sentence: lines missing, mixed up, cut, bombs', async (t) => {
  const lines = handoffLines('model', gzipSync(Buffer.from('x'.repeat(10))).toString('base64'));
  const many = handoffLines('model', 'A'.repeat(30_000));
  const bomb = handoffLines('model', gzipSync(Buffer.alloc(65 * 2 ** 20)).toString('base64'));
  const cases: [string, RegExp][] = [
    ['', /there is no line of it/],
    ['soapstone-handoff plan 1/1 AAAA', /there is no line of it/],
    [many.slice(1).join('\n'), /line 1 of 4 is missing/],
    [many.slice(0, -1).join('\n'), /3 of 4 lines are there/],
    [[many[0], many[0]].join('\n'), /line 2 of 4 is missing/],
    [`${many[0]}\nsoapstone-handoff model 2/9 AAAA`, /disagree/],
    [[...lines, ...lines].join('\n'), /line 2 of 1 is missing/],
    ['soapstone-handoff model 1/1 AAAA', /incorrect header check|unexpected end/],
    [bomb.join('\n'), /larger than|Cannot create a Buffer/],
    [
      many.join('\n').padEnd(MAX_HANDOFF_CHARACTERS, 'x').replace(/^/, 'x'.repeat(MAX_HANDOFF_CHARACTERS)),
      /no line of it/,
    ],
  ];
  for (const [log, message] of cases) {
    const error = await t.throwsAsync(filesFrom(log), { message: /^pod job-inspect-1 did not hand over the model: / });
    t.regex(error?.message ?? '', message);
  }
});

test('a ConfigMap, and an API server, that is not there is asked for again; what is forbidden is final', async (t) => {
  const job = jobOf({ storage: { configMap: { name: 'data' } } });
  const settings = { modelSites: '', modelPrivateAddresses: false, modelMegabytes: 1, modelSeconds: 1 };
  const cases: [unknown, boolean, RegExp][] = [
    [
      new ApiException(404, 'no', '{"message":"configmaps \\"data\\" not found"}', {}),
      true,
      /answered 404: configmaps "data" not found; create it, or correct spec\.storage/,
    ],
    [new ApiException(403, 'no', '{"message":"forbidden"}', {}), false, /answered 403: forbidden/],
    [new ApiException(429, 'no', '{"message":"later"}', {}), true, /answered 429/],
    [new ApiException(503, 'no', '{"message":"later"}', {}), true, /answered 503/],
    [new Error('connect ECONNREFUSED'), true, /ECONNREFUSED/],
  ];
  for (const [failure, passing, message] of cases) {
    const core = {
      readNamespacedConfigMap: () => Promise.reject(failure),
      readNamespacedPodLog: () => Promise.reject(failure),
    };
    const source = { core, hostPathAllowed: false, fetching: fetchPolicy(settings) };
    const error = await t.throwsAsync(readJobFiles(job, 'default', undefined, source), {
      instanceOf: FetchError,
      message,
    });
    t.is(error instanceof FetchError && error.passing, passing, String(message));
  }
  const log = readJobFiles(jobOf({}), 'default', 'job-inspect-1', {
    core: {
      readNamespacedConfigMap: () => Promise.reject(new Error('nobody asks for it')),
      readNamespacedPodLog: () => Promise.reject(new ApiException(404, 'no', '{"message":"no such pod"}', {})),
    },
    hostPathAllowed: false,
    fetching: fetchPolicy(settings),
  });
  const error = await t.throwsAsync(log, { message: /log of pod job-inspect-1 could not be read: .*no such pod/ });
  t.true(error instanceof FetchError && error.passing, 'another pod reads it then');
});

test('a key that a ConfigMap lacks, and a file that a hostPath lacks, may come later; what cannot come is final', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'm.onnx'), 'a model');
  const core = {
    readNamespacedConfigMap: () => Promise.resolve({ data: { 'm.onnx': 'a model', other: '' } }),
    readNamespacedPodLog: () => Promise.reject(new Error('nobody asks for it')),
  };
  const settings = { modelSites: '', modelPrivateAddresses: false, modelMegabytes: 1, modelSeconds: 1 };
  const source = { core, hostPathAllowed: true, fetching: fetchPolicy(settings) };
  const [configMap, hostPath] = [{ configMap: { name: 'c' } }, { hostPath: { path: folder } }];
  const cases: [object, object, boolean, RegExp][] = [
    [
      configMap,
      { model: { onnx: 'n.onnx' } },
      true,
      /'c' has no 'n\.onnx'; it has m\.onnx, other: add it, or .*model\.onnx/,
    ],
    [
      configMap,
      { plan: 'plan.json' },
      true,
      /'c' has no 'plan\.json'; .*: add it, or correct spec\.plan or spec\.storage/,
    ],
    [configMap, { model: { onnx: 'models/m.onnx' } }, false, /'c' has no 'models\/m\.onnx'/],
    [hostPath, { model: { onnx: 'n.onnx' } }, true, /there is no such file on the controller's own node; put it there/],
    [hostPath, { model: { onnx: 'm.onnx/n' } }, false, /model 'm\.onnx\/n' .*ENOTDIR.*; make it readable there/],
  ];
  for (const [storage, spec, passing, message] of cases) {
    const job = jobOf({ model: { onnx: 'm.onnx' }, storage, ...spec });
    const error = await t.throwsAsync(readJobFiles(job, 'default', undefined, source), { message });
    t.is(error instanceof FetchError && error.passing, passing, String(message));
  }
  for (const storage of [configMap, hostPath]) {
    const { modelFile = '' } = await readJobFiles(
      jobOf({ model: { onnx: 'm.onnx' }, storage }),
      'default',
      undefined,
      source,
    );
    t.is(Buffer.from(modelFile).toString(), 'a model');
  }
});

test('whatever is handed over comes back, whatever else is in the log', (t) => {
  const base64 = fc.uint8Array({ maxLength: 20_000 }).map((bytes) => Buffer.from(bytes).toString('base64'));
  const noise = fc.array(fc.string().map((text) => `# ${text.replaceAll(/[\n\r\u2028\u2029]/g, ' ')}`));
  fc.assert(
    fc.property(base64, noise, (content, others) => {
      const log = handoffLines('model', content).flatMap((line) => [...others, line]);
      t.is(readHandoff('model', [...log, ...handoffLines('plan', 'AAAA')].join('\n')), content);
    }),
    { numRuns: 50 },
  );
  fc.assert(
    fc.property(fc.string(), (log) => {
      try {
        readHandoff('model', log);
      } catch (error) {
        t.true(error instanceof Error);
      }
    }),
  );
});
