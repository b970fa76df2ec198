import type { V1ConfigMap, V1Pod } from '@kubernetes/client-node';
import { ApiException } from '@kubernetes/client-node';
import test from 'ava';
import { gzipSync } from 'node:zlib';
import type { TrainingJobResource } from '../../operator/api/resource.ts';
import type { TableApi } from '../../operator/costs/cost-tables.ts';
import { CostTables } from '../../operator/costs/cost-tables.ts';
import { modelKey, tableName } from '../../operator/decide/table-names.ts';
import { Reports } from '../../operator/costs/reports.ts';
import { decide } from '../../operator/decide/decide.ts';
import type { DecideOptions, Decision, Observed, ReportToTake } from '../../operator/decide/types.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { KeptCosts } from '../../soap/cost/kept-costs.ts';
import { keptCosts } from '../../soap/cost/kept-costs.ts';
import { handoffLines } from '../../soap/job/handoff.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { KERNELS_VERSION } from '../../soap/version.ts';
import { NOW, optionsAfter } from '../support/decide-options.ts';
import { coreNode, gpuNode, jobResource, LENET_SPEC } from '../support/kubernetes.ts';

const TABLE = tableName({ deviceType: 'A100', provider: 'auto' });
const IMAGE = optionsAfter(0).image;
const MODEL = modelKey(jobOf(jobResource()), IMAGE);
/** Found on the nodes of the test. */
function plan(): Plan {
  const { cluster } = discoverCluster(NODES, [], { ...jobOf(jobResource()).spec.devices }, () => false);
  const training = attachLoss(builtinGraph('lenet', 16), 'crossEntropy');
  const problem = { training, cluster: createCluster(cluster), costs: createRooflineCosts() };
  const settings = { seconds: 5, proposals: 1, seed: 1, beta: 20, chains: 1, start: ['data'] } as const;
  return findPlan(problem, settings, { nowMs: () => 0 }).plan;
}

const NODES = [gpuNode('a', 1), gpuNode('b', 2)];
const NONE = new Map([[TABLE, { models: [] }]]);

function jobOf(resource: TrainingJobResource): TrainingJob {
  const parsed = parseTrainingJob(resource);
  if ('problems' in parsed) throw new Error('the job of the test is invalid');
  return parsed.job;
}

function visit(parts: Partial<Observed> = {}, options: Partial<DecideOptions> = {}): Decision {
  const observed: Observed = {
    resource: jobResource(),
    nodes: NODES,
    pods: [],
    plan: undefined,
    search: { kind: 'none' },
    applyError: undefined,
    costs: NONE,
    ...parts,
  };
  return decide(observed, { ...optionsAfter(0), ...options });
}

const conditionOf = ({ status }: Decision, type: string): string[] => {
  const { status: value, reason, message } = status.conditions.find((each) => each.type === type)!;
  return [value, reason, message];
};

test('tables are read once, then a restricted pod on a node of the type measures on one device, and no search begins', (t) => {
  const unread = visit({ costs: new Map() });
  t.deepEqual([unread.readCosts, unread.pods, unread.startSearch], [[TABLE], [], undefined]);
  const resource = jobResource({
    template: {
      spec: {
        priorityClassName: 'high',
        containers: [
          {
            name: 'worker',
            image: 'mirror/soapstone:1',
            env: [{ name: 'X', value: 'y' }],
            resources: {
              limits: { memory: '1Gi', 'nvidia.com/gpu': '4' },
              requests: { 'nvidia.com/gpu': '4', cpu: '1' },
            },
            volumeMounts: [{ name: 'scratch', mountPath: '/scratch' }],
          },
        ],
      },
    },
  });
  const labels = { 'kueue.x-k8s.io/queue-name': 'q', 'kueue.x-k8s.io/priority-class': 'p' };
  const queued = { ...resource, metadata: { ...resource.metadata, labels } };
  const decision = visit({ resource: queued });
  const [pod, ...more] = decision.pods;
  t.deepEqual([more, decision.startSearch], [[], undefined]);
  t.deepEqual(conditionOf(decision, 'CostsMeasured').slice(0, 2), ['Unknown', 'Profiling']);
  t.deepEqual([decision.status.state, decision.status.reason], ['Searching', 'Profiling']);
  t.deepEqual(
    decision.children.map(({ kind }) => kind),
    ['NetworkPolicy'],
  );
  const { metadata, spec }: V1Pod = { ...pod };
  t.like(metadata?.labels, { ...labels, 'soapstone.dev/job': 'job', 'soapstone.dev/measures': TABLE });
  t.is(metadata?.labels?.['kueue.x-k8s.io/pod-group-name'], undefined);
  t.is(metadata?.ownerReferences?.[0]?.uid, 'job-uid');
  t.deepEqual(spec?.nodeSelector, { 'kubernetes.io/hostname': 'b' });
  t.is(spec?.activeDeadlineSeconds, 120);
  t.like(spec, { priorityClassName: 'high', restartPolicy: 'Never', automountServiceAccountToken: false });
  t.like(spec?.securityContext, { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } });
  const [container] = spec?.containers ?? [];
  t.like(container, { name: 'profile', image: 'mirror/soapstone:1', command: ['soapstone', 'measure'] });
  t.like(container?.securityContext, { readOnlyRootFilesystem: true, capabilities: { drop: ['ALL'] } });
  t.deepEqual(container?.resources, { requests: { cpu: '1' }, limits: { memory: '1Gi', 'nvidia.com/gpu': '1' } });
  t.deepEqual(container?.volumeMounts, [{ name: 'storage', mountPath: '/var/run/soapstone/storage', readOnly: true }]);
  const order: Record<string, unknown> = JSON.parse(
    container?.env?.find(({ name }) => name === 'SOAPSTONE_MEASURE')?.value ?? '{}',
  );
  const model = modelKey(jobOf(resource), 'mirror/soapstone:1');
  t.like(order, { deviceType: 'A100', model, devices: 3, devicesPerNode: 2, seconds: 60 });
  t.false('problems' in parseTrainingJob(order['job']));
});

test('a type that was measured, by any job of the namespace, is searched for at once, with its table', (t) => {
  const decision = visit({ costs: new Map([[TABLE, { models: ['x', MODEL] }]]) });
  t.deepEqual([decision.pods, decision.startSearch?.costs], [[], [TABLE]]);
  t.deepEqual(conditionOf(decision, 'CostsMeasured').slice(0, 2), ['True', 'CostsKnown']);
});

test('what another image measured is measured anew: it may have had no libraries for the device', (t) => {
  const costs = new Map([[TABLE, { models: [MODEL] }]]);
  const upgraded = visit({ costs }, { image: 'soapstone:cuda' });
  t.is(upgraded.pods.length, 1);
  t.is(upgraded.startSearch, undefined);
  const template = { spec: { containers: [{ name: 'worker', image: 'soapstone:cuda' }] } };
  t.is(visit({ costs, resource: jobResource({ template }) }).pods.length, 1);
  const same = { spec: { containers: [{ name: 'worker', image: IMAGE }] } };
  t.deepEqual(visit({ costs, resource: jobResource({ template: same }) }).pods, []);
});

test('kernels of a model of which some is frozen are others than those of the whole', (t) => {
  const { training } = jobOf(jobResource()).spec;
  const frozen = (...globs: string[]): string =>
    modelKey(jobOf(jobResource({ training: { ...training, frozen: globs } })), IMAGE);
  t.is(frozen(), MODEL);
  t.is(new Set([MODEL, frozen('conv*'), frozen('fc*')]).size, 3);
});

test('each type has a pod of its own; devices of no known product have none', (t) => {
  const nodes = [gpuNode('a', 1), gpuNode('c', 1, { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3' })];
  const h100 = tableName({ deviceType: 'H100', provider: 'auto' });
  const costs = new Map([...NONE, [h100, { models: [] }]]);
  const { pods } = visit({ nodes, costs });
  t.deepEqual(
    pods
      .map((pod: V1Pod) => pod.spec?.nodeSelector?.['kubernetes.io/hostname'])
      .toSorted((x = '', y = '') => x.localeCompare(y)),
    ['a', 'c'],
  );
  const nameless = gpuNode('a', 2);
  delete nameless.metadata?.labels?.['nvidia.com/gpu.product'];
  const decision = visit({ nodes: [nameless], costs: new Map() });
  t.deepEqual([decision.pods, decision.startSearch?.costs], [[], []]);
  t.deepEqual(conditionOf(decision, 'CostsMeasured').slice(0, 2), ['False', 'ProfileFailed']);
});

test('a job that holds cores measures them, and not a GPU that its image may find', (t) => {
  const resource = jobResource({ devices: { resource: 'cpu', min: 1, max: 2 } });
  const nodes = [coreNode('a', '4')];
  const table = tableName({ deviceType: 'cpu', provider: 'cpu' });
  const kernelsOf = (parts: Partial<Observed>): unknown => {
    const [pod] = visit({ resource, nodes, ...parts }).pods;
    const { spec }: V1Pod = { ...pod };
    const order = spec?.containers[0]?.env?.find(({ name }) => name === 'SOAPSTONE_MEASURE')?.value;
    return JSON.parse(order ?? '{}').job?.spec.training.kernels;
  };
  t.deepEqual(visit({ resource, nodes, costs: new Map() }).readCosts, [table]);
  t.is(kernelsOf({ costs: new Map([[table, { models: [] }]]) }), 'cpu');
  const asked = jobResource({
    devices: { resource: 'cpu', min: 1, max: 2 },
    training: { ...LENET_SPEC.training, kernels: 'reference' },
  });
  const other = tableName({ deviceType: 'cpu', provider: 'reference' });
  t.is(kernelsOf({ resource: asked, costs: new Map([[other, { models: [] }]]) }), 'reference');
});

/** The pod that the controller would make, with a status, so many seconds old. */
function profiler(status: V1Pod['status'], seconds = 0, metadata: V1Pod['metadata'] = {}): V1Pod {
  const [made] = visit().pods;
  const creationTimestamp = new Date(NOW.getTime() - 1000 * seconds);
  const own = { ...made?.metadata, uid: 'pod-uid', creationTimestamp, ...metadata };
  return { metadata: own, spec: { nodeName: 'a', containers: [] }, ...(status && { status }) };
}

const terminated = (exitCode: number, message = ''): V1Pod['status'] => ({
  phase: 'Failed',
  containerStatuses: [
    {
      name: 'profile',
      image: '',
      imageID: '',
      ready: false,
      restartCount: 0,
      state: { terminated: { exitCode, message } },
    },
  ],
});

const UNSCHEDULABLE: V1Pod['status'] = {
  phase: 'Pending',
  conditions: [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message: '0/2 nodes' }],
};

const GATED: V1Pod = {
  ...profiler({ phase: 'Pending' }, 200),
  spec: { containers: [], schedulingGates: [{ name: 'kueue' }] },
};

interface Case {
  readonly title: string;
  readonly pod: V1Pod;
  readonly parts?: Partial<Observed>;
  /** Of CostsMeasured; `Profiling` waits, all others let the search begin. */
  readonly reason: string;
  readonly message: RegExp;
  readonly deleted?: boolean;
}

const CASES: readonly Case[] = [
  { title: 'it runs', pod: profiler({ phase: 'Running' }), reason: 'Profiling', message: /measures the model on A100/ },
  { title: 'it finds no room at once', pod: profiler(UNSCHEDULABLE, 5), reason: 'Profiling', message: /0\/2 nodes/ },
  {
    title: 'it finds no room for long',
    pod: profiler(UNSCHEDULABLE, 40),
    reason: 'ProfileNotPlaced',
    message: /not started within 30 s.*0\/2 nodes/,
    deleted: true,
  },
  { title: 'its queue holds it', pod: GATED, reason: 'Profiling', message: /once its queue admits it/ },
  {
    title: 'its queue holds it for long',
    pod: { ...GATED, metadata: { ...GATED.metadata, creationTimestamp: new Date(NOW.getTime() - 400_000) } },
    reason: 'ProfileNotPlaced',
    message: /not admitted by its queue within 300 s/,
    deleted: true,
  },
  {
    title: 'it crashes',
    pod: profiler(terminated(2, 'soapstone: no GPU here\n')),
    reason: 'ProfileFailed',
    message: /exit code 2: no GPU here/,
  },
  {
    title: 'it is evicted',
    pod: profiler({ phase: 'Failed', reason: 'Evicted', message: 'low on memory' }),
    reason: 'ProfileFailed',
    message: /low on memory/,
  },
  {
    title: 'its node is lost',
    pod: { ...profiler({ phase: 'Running' }), spec: { nodeName: 'gone', containers: [] } },
    reason: 'ProfileFailed',
    message: /node gone/,
    deleted: true,
  },
  {
    title: 'it is stopped at its deadline',
    pod: profiler({ phase: 'Failed', reason: 'DeadlineExceeded' }),
    reason: 'ProfileTooSlow',
    message: /did not end within 120 s/,
  },
  {
    title: 'nobody ends it',
    pod: profiler({ phase: 'Running' }, 500),
    reason: 'ProfileTooSlow',
    message: /did not end/,
    deleted: true,
  },
  {
    title: 'its report is refused',
    pod: profiler({ phase: 'Succeeded' }),
    parts: { rejectedReports: new Map([['pod-uid', 'its report has 3 problems']]) },
    reason: 'ReportRejected',
    message: /3 problems/,
  },
];

for (const { title, pod, parts, reason, message, deleted = false } of CASES) {
  test(`a pod measures, and ${title}: ${reason}`, (t) => {
    const decision = visit({ pods: [pod], ...parts });
    const [status, found = '', text = ''] = conditionOf(decision, 'CostsMeasured');
    t.deepEqual([status, found], [reason === 'Profiling' ? 'Unknown' : 'False', reason]);
    t.regex(text, message);
    t.deepEqual([decision.deletePods.length > 0, decision.pods], [deleted, []]);
    if (reason === 'Profiling') {
      t.is(decision.startSearch, undefined);
      return;
    }
    t.true(decision.events.some((event) => event.reason === reason && event.type === 'Warning'));
    // The next visit, with the pod or without: the search goes on, and nothing is measured again.
    const after = visit({ resource: jobResource({}, decision.status), pods: deleted ? [] : [pod] });
    t.deepEqual([after.pods, after.startSearch?.costs], [[], [TABLE]]);
    t.is(conditionOf(after, 'CostsMeasured')[1], reason);
    t.deepEqual(
      after.events.map((event) => event.reason).filter((each) => each === reason),
      [],
    );
  });
}

test('a pod that cannot be created, spec.profile: false and profilePods: false let the search begin', (t) => {
  const forbidden = visit({ applyError: { code: 403, message: 'exceeded quota: gpus' } });
  t.deepEqual([forbidden.pods, forbidden.startSearch?.costs], [[], [TABLE]]);
  t.regex(conditionOf(forbidden, 'CostsMeasured').join(' '), /False ProfileFailed .*exceeded quota/);
  for (const off of [visit({ resource: jobResource({ profile: false }) }), visit({}, { profilePods: false })]) {
    t.deepEqual([off.pods, off.startSearch?.costs], [[], [TABLE]], 'what others measured is used');
    t.deepEqual(conditionOf(off, 'CostsMeasured').slice(0, 2), ['False', 'ProfilingOff']);
    t.false(off.events.some(({ type }) => type === 'Warning'));
  }
  const given = visit({ resource: jobResource({ plan: 'plan.json' }) });
  t.deepEqual([given.pods, conditionOf(given, 'CostsMeasured')[1]], [[], 'NotYet']);
});

test('what another job of the namespace measures right now is waited for, of another model not', (t) => {
  const owner = [{ apiVersion: 'x', kind: 'TrainingJob', name: 'other', uid: 'other-uid' }];
  const other = (labels: Record<string, string> = {}, namespace = 'default'): V1Pod => {
    const pod = profiler({ phase: 'Running' });
    const metadata = { ...pod.metadata, namespace, name: 'other-profile-1', ownerReferences: owner };
    return { ...pod, metadata: { ...metadata, labels: { ...pod.metadata?.labels, ...labels } } };
  };
  const waits = visit({ pods: [other()] });
  t.deepEqual([waits.pods, waits.startSearch], [[], undefined]);
  t.regex(conditionOf(waits, 'CostsMeasured')[2]!, /pod other-profile-1 of another job/);
  t.is(visit({ pods: [other({ 'soapstone.dev/model': 'else' })] }).pods.length, 1);
  t.is(visit({ pods: [other({}, 'elsewhere')] }).pods.length, 1);
});

test('a pod that measures the model of a spec before is deleted, and its report not taken', (t) => {
  const pod = profiler({ phase: 'Succeeded' });
  const labels = { ...pod.metadata?.labels, 'soapstone.dev/model': 'of before' };
  const decision = visit({ pods: [{ ...pod, metadata: { ...pod.metadata, labels } }] });
  t.deepEqual(
    [decision.deletePods.length, decision.takeReports, decision.pods, decision.startSearch],
    [1, [], [], undefined],
  );
});

test('a pod that is done has its report taken in, once', (t) => {
  const decision = visit({ pods: [profiler({ phase: 'Succeeded' })] });
  const [report] = decision.takeReports;
  t.like(report, { uid: 'pod-uid', table: TABLE, deviceType: 'A100', model: MODEL });
  t.deepEqual([decision.startSearch, decision.pods], [undefined, []]);
});

test('the status tells what the plan rests on', (t) => {
  const costs = { measured: 0.834, interpolated: 0.12, roofline: 0.046 };
  const unmeasured = { H100: 'no room' };
  const { status } = visit({
    resource: jobResource({}, { costs: { unmeasured } }),
    search: { kind: 'found', plan: { ...plan(), costs } },
  });
  t.deepEqual(status.costs, { measured: '83 %', interpolated: '12 %', roofline: '5 %', unmeasured });
  t.regex(
    status.conditions.find(({ type }) => type === 'PlanFound')!.message,
    /83 % is measured, 12 % interpolated, 5 %/,
  );
});

const refused = (code: number): ApiException<unknown> => new ApiException(code, 'no', { message: `code ${code}` }, {});

/** ConfigMaps in memory, with versions as the API server has them. */
function fakeTables(): { maps: Map<string, V1ConfigMap>; core: TableApi; before: (() => void)[]; calls: string[] } {
  const maps = new Map<string, V1ConfigMap>();
  const before: (() => void)[] = [];
  const calls: string[] = [];
  let version = 0;
  const put = (key: string, body: V1ConfigMap): V1ConfigMap => {
    const map = { ...body, metadata: { ...body.metadata, resourceVersion: String(++version) } };
    maps.set(key, map);
    return map;
  };
  const core: TableApi = {
    readNamespacedConfigMap({ namespace, name }) {
      calls.push(`read ${namespace}/${name}`);
      const found = maps.get(`${namespace}/${name}`);
      return found === undefined ? Promise.reject(refused(404)) : Promise.resolve(found);
    },
    createNamespacedConfigMap({ namespace, body }) {
      before.shift()?.();
      const key = `${namespace}/${body.metadata?.name}`;
      return maps.has(key) ? Promise.reject(refused(409)) : Promise.resolve(put(key, body));
    },
    patchNamespacedConfigMap({ namespace, name, body }) {
      before.shift()?.();
      const key = `${namespace}/${name}`;
      const found = maps.get(key);
      const same = found?.metadata?.resourceVersion === body.metadata.resourceVersion;
      return same ? Promise.resolve(put(key, { ...found, ...body })) : Promise.reject(refused(409));
    },
  };
  return { maps, core, before, calls };
}

const report = (model: string, us: number, op = 'conv'): KeptCosts =>
  keptCosts(
    { deviceType: 'A100', kernels: KERNELS_VERSION, startUs: 1 },
    { model, measured: '2026-11-24T12:00:00.000Z' },
    [{ signature: `${op}(1)`, direction: 'forward', flops: 1, memoryBytes: 1, us, spread: 0 }],
  );
const OTHER = 'f'.repeat(16);

test('tables are kept by namespace, merged also where two controllers write at once, and read again after a minute', async (t) => {
  const { maps, core, before, calls } = fakeTables();
  let nowMs = 0;
  const tables = new CostTables(core, () => nowMs);
  await tables.read('ns', [TABLE]);
  t.deepEqual(tables.known('ns').get(TABLE), { models: [] });
  // Another controller writes one between this one's reading and writing.
  const { maps: elsewhere, core: other } = fakeTables();
  await new CostTables(other).add('ns', TABLE, report(OTHER, 5, 'pool'));
  before.push(() => elsewhere.forEach((map, key) => maps.set(key, map)));
  await tables.add('ns', TABLE, report(MODEL, 7));
  t.deepEqual(tables.known('ns').get(TABLE), { models: [OTHER, MODEL] });
  t.is((await tables.packed('ns', [TABLE])).length, 1);
  t.deepEqual([...tables.known('other')], []);
  t.like(maps.get(`ns/${TABLE}`)?.data, { deviceType: 'A100', kernels: KERNELS_VERSION, entries: '2' });
  t.is(maps.get(`ns/${TABLE}`)?.metadata?.labels?.['soapstone.dev/job'], undefined, 'it outlives its job');
  const reads = calls.length;
  await tables.read('ns', [TABLE]);
  t.is(calls.length, reads);
  nowMs = 61_000;
  t.is(tables.known('ns').get(TABLE), undefined);
  await tables.read('ns', [TABLE]);
  t.is(calls.length, reads + 1);
});

test('a table that becomes old while the next one is read is handed over all the same', async (t) => {
  const { core } = fakeTables();
  let nowMs = 0;
  const slow: typeof core = {
    ...core,
    readNamespacedConfigMap(request) {
      if (request.name !== TABLE) {
        nowMs = 61_000;
        tables.known('ns');
      }
      return core.readNamespacedConfigMap(request);
    },
  };
  const tables = new CostTables(slow, () => nowMs);
  await tables.add('ns', TABLE, report(MODEL, 7));
  t.is((await tables.packed('ns', [TABLE, 'another'])).length, 1);
});

test('a table that somebody damaged is as none, and written anew', async (t) => {
  const { maps, core } = fakeTables();
  const metadata = { name: TABLE, namespace: 'ns', resourceVersion: '1' };
  for (const content of ['', 'AAAA', gzipSync('{"version":1}').toString('base64')]) {
    maps.set(`ns/${TABLE}`, { metadata, binaryData: { 'costs.json.gz': content } });
    const tables = new CostTables(core);
    await tables.read('ns', [TABLE]);
    t.deepEqual([tables.known('ns').get(TABLE), await tables.packed('ns', [TABLE])], [{ models: [] }, []]);
    await tables.add('ns', TABLE, report(MODEL, 7));
    t.deepEqual(tables.known('ns').get(TABLE), { models: [MODEL] });
  }
});

const logOf = (value: unknown): string =>
  ['noise', ...handoffLines('costs', gzipSync(JSON.stringify(value)).toString('base64')), 'more'].join('\n');
const TO_TAKE: ReportToTake = { pod: 'p', uid: 'u', table: TABLE, deviceType: 'A100', model: MODEL };

const LOGS: Readonly<Record<string, string>> = {
  'nothing in it': '',
  'a line missing': 'soapstone-handoff costs 1/2 AAAA',
  'no table': logOf({ version: 1, rows: 'all' }),
  'another device': logOf({ ...report(MODEL, 1), deviceType: 'H100' }),
  'another model': logOf(report(OTHER, 1)),
  'two models': logOf({ ...report(MODEL, 1), batches: [...report(MODEL, 1).batches, ...report(OTHER, 1).batches] }),
  'a bomb': handoffLines('costs', gzipSync(Buffer.alloc(20_000_000)).toString('base64')).join('\n'),
};

for (const [title, log] of Object.entries(LOGS)) {
  test(`a pod's log with ${title} is refused, and nothing is merged`, async (t) => {
    const { maps, core } = fakeTables();
    const reports = new Reports({ readNamespacedPodLog: () => Promise.resolve(log) }, new CostTables(core));
    t.deepEqual(await reports.take('ns', [TO_TAKE]), []);
    t.is(typeof reports.rejected.get('u'), 'string');
    t.notRegex(reports.rejected.get('u') ?? '', /\n/);
    t.is(maps.size, 0);
  });
}

test('a report is merged; a log that cannot be read for a moment is asked for again, one that cannot for long given up', async (t) => {
  const { maps, core } = fakeTables();
  let nowMs = 0;
  let answer: () => Promise<string> = () => Promise.reject(refused(500));
  const reports = new Reports({ readNamespacedPodLog: () => answer() }, new CostTables(core), () => nowMs);
  await t.throwsAsync(reports.take('ns', [TO_TAKE]));
  nowMs = 20_000;
  answer = () => Promise.resolve(logOf(report(MODEL, 3)));
  await reports.take('ns', [TO_TAKE]);
  t.deepEqual([maps.size, reports.rejected.size], [1, 0]);
  answer = () => Promise.reject(new Error('socket hang up'));
  await t.throwsAsync(reports.take('ns', [TO_TAKE]));
  nowMs += 31_000;
  await reports.take('ns', [TO_TAKE]);
  t.regex(reports.rejected.get('u') ?? '', /socket hang up/);
  answer = () => Promise.reject(refused(403));
  await reports.take('ns', [{ ...TO_TAKE, uid: 'v' }]);
  t.true(reports.rejected.has('v'), 'without the right to read logs it does not wait');
});
