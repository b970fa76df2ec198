import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { KNOWN_LABELS } from '../../operator/discovery/labels.ts';
import type { Answer } from './api.ts';
import { BenchApi } from './api.ts';
import { startControllerProcess } from './controller-process.ts';
import { generatedSpec } from './generated.ts';
import { twoNodePlan } from './jobs.ts';
import type { Row, Server } from './row.ts';
import { createJob, createNode, forEachIndex, secondsUntilStatus } from './world.ts';

const JOBS = '/apis/soapstone.dev/v1alpha1/namespaces/default/trainingjobs';
const MAPS = '/api/v1/namespaces/default/configmaps';
const MERGE = 'application/merge-patch+json';
const LIMIT_SECONDS = 60;
/** After so many objects all are deleted, so that what is measured is their odd content and not their number. */
const BATCH = 400;

/** As label values may be. Source: Kubernetes, "Labels and selectors", syntax. */
const labelValue = fc.oneof(
  fc.stringMatching(/^([A-Za-z0-9]([-A-Za-z0-9_.]{0,20}[A-Za-z0-9])?)?$/),
  fc.constantFrom('', '0', '8', '-1', '1e999', 'none', 'NVIDIA-H100-80GB-HBM3', 'Tesla-P100-SXM2-16GB'),
  fc.integer().map(String),
);
const labels = fc.dictionary(
  fc.oneof(fc.constantFrom(...KNOWN_LABELS), fc.constantFrom('pool', 'constructor', 'fabric.topograph.run/tier-1')),
  labelValue,
);
const quantity = fc.oneof(fc.nat({ max: 16 }).map(String), fc.constantFrom('1k', '100m', '9Ei', '-3', '1.5', '1e3'));
const resource = fc.constantFrom('nvidia.com/gpu', 'amd.com/gpu', 'nvidia.com/gpu.shared', 'cpu');
const nodeParts = fc.record({
  labels,
  allocatable: fc.dictionary(resource, quantity),
  unschedulable: fc.boolean(),
  taints: fc.constantFrom(null, [{ key: 'a', effect: 'NoSchedule' }], [{ key: 'b', value: 'c', effect: 'NoExecute' }]),
  ready: fc.constantFrom('True', 'False', 'Unknown', 'Odd'),
});

/** Text that is a plan but for one place, or none at all. */
function planTexts(): fc.Arbitrary<string> {
  const plan = twoNodePlan();
  const parsed: unknown = JSON.parse(plan);
  const how = fc.constantFrom('value', 'value', 'cut', 'any');
  return fc.tuple(fc.nat(), fc.jsonValue(), how).map(([place, value, change]) => {
    if (change === 'cut') return plan.slice(0, place % plan.length);
    return JSON.stringify(change === 'any' ? value : replacedAt(parsed, place, value));
  });
}

const samples = { jobs: generatedSpec, plans: planTexts(), nodes: nodeParts, labelSets: labels };

/** What became of the objects of a kind. */
type Taken = Record<keyof typeof samples, { taken: number; refused: number }>;

/**
 * Gives so many generated jobs, plans, label sets and nodes to the API server beside a controller; the server refuses some. After
 * each batch a job that is well must have its status, and so must every other.
 */
export async function generatedWorld(server: Server, count: number): Promise<Row[]> {
  const api = new BenchApi(server.kubeConfig);
  const controller = await startControllerProcess(server.kubeconfigPath);
  const taken: Taken = {
    jobs: { taken: 0, refused: 0 },
    plans: { taken: 0, refused: 0 },
    nodes: { taken: 0, refused: 0 },
    labelSets: { taken: 0, refused: 0 },
  };
  let longest = 0;
  try {
    for (let made = 0; made < count; made += BATCH) {
      await createNode(api, 'node-a', 1);
      await createNode(api, 'node-b', 1);
      const each = Math.min(BATCH, count - made) / 4;
      await batch(api, made, each, taken);
      await createJob(api, `well-${made}`, { suspend: true });
      longest = Math.max(longest, await secondsUntilStatus(api, `well-${made}`, LIMIT_SECONDS));
      await untilAllVisited(api);
      for (const path of [JOBS, MAPS, '/api/v1/nodes', '/api/v1/namespaces/default/pods']) await deleteAll(api, path);
    }
    const errors = await controller.metric('controller_runtime_reconcile_errors_total');
    const told = Object.entries(taken).map(([kind, { taken: yes, refused }]) => `${yes} ${kind} (${refused} refused)`);
    return [
      {
        case: `${count} generated objects given to the API server: ${told.join(', ')}`,
        result: `same process, ${errors} visits failed; every job has a status; a job that is well has it after at most ${longest.toFixed(1)} s`,
        measured: { longestSeconds: longest, failedVisits: errors, taken: taken.jobs.taken + taken.plans.taken },
      },
    ];
  } finally {
    await controller.kill('SIGKILL');
    api.close();
  }
}

async function batch(api: BenchApi, made: number, each: number, taken: Taken): Promise<void> {
  const seed = made + 1;
  const drawn = <T>(arbitrary: fc.Arbitrary<T>): T[] => fc.sample(arbitrary, { numRuns: each, seed });
  const count = (kind: keyof Taken, { code }: Answer): void => {
    taken[kind][code < 300 ? 'taken' : 'refused'] += 1;
  };
  const [jobs, plans, nodes, sets] = [drawn(samples.jobs), drawn(samples.plans), drawn(samples.nodes), drawn(labels)];
  await forEachIndex(each, async (i) => {
    const { labels: own, allocatable, unschedulable, taints, ready } = nodes[i]!;
    const name = `node-${made + i}`;
    const node = { metadata: { name, labels: own }, spec: { unschedulable } };
    count('nodes', await api.send('POST', '/api/v1/nodes', node));
    const status = { allocatable, conditions: [{ type: 'Ready', status: ready }] };
    await api.send('PATCH', `/api/v1/nodes/${name}/status`, { status }, MERGE);
    await api.send('PATCH', `/api/v1/nodes/${name}`, { spec: { taints } }, MERGE);
    count('labelSets', await api.send('PATCH', '/api/v1/nodes/node-a', { metadata: { labels: sets[i] } }, MERGE));
    const metadata = { name: `plan-${made + i}`, namespace: 'default' };
    count('plans', await api.send('POST', MAPS, { metadata, data: { 'plan.json': plans[i] } }));
    const storage = { configMap: { name: metadata.name } };
    await createJob(api, metadata.name, { devices: { min: 1, max: 2 }, storage, plan: 'plan.json' });
    const job = { apiVersion: 'soapstone.dev/v1alpha1', kind: 'TrainingJob', metadata: { name: `job-${made + i}` } };
    count('jobs', await api.send('POST', JOBS, { ...job, spec: jobs[i] }));
  });
}

async function deleteAll(api: BenchApi, path: string): Promise<void> {
  const { items = [] }: { items?: { metadata: { name: string } }[] } = Object(await api.must('GET', path));
  await forEachIndex(items.length, (i) =>
    api.send('DELETE', `${path}/${items[i]!.metadata.name}`, { gracePeriodSeconds: 0 }),
  );
}

async function untilAllVisited(api: BenchApi): Promise<void> {
  const endMs = performance.now() + 1000 * LIMIT_SECONDS;
  for (;;) {
    const { items = [] }: { items?: { metadata: { name: string }; status?: { state?: string } }[] } = Object(
      await api.must('GET', JOBS),
    );
    const without = items.filter(({ status }) => status?.state === undefined).map(({ metadata }) => metadata.name);
    if (without.length === 0) return;
    if (performance.now() > endMs) throw new Error(`no status within ${LIMIT_SECONDS} s: ${without.join(', ')}`);
    await sleep(200);
  }
}

/** The value with the place-th of its leaves and branches, in order and around again, put in another's place. */
function replacedAt(value: unknown, place: number, by: unknown): unknown {
  let left = place % countOf(value);
  const walk = (at: unknown): unknown => {
    if (left-- === 0) return by;
    if (Array.isArray(at)) return at.map(walk);
    if (typeof at !== 'object' || at === null) return at;
    return Object.fromEntries(Object.entries(at).map(([key, each]) => [key, walk(each)]));
  };
  return walk(value);
}

function countOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 1;
  return Object.values(value).reduce((sum: number, each) => sum + countOf(each), 1);
}
