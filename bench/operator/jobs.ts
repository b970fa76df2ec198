import { setTimeout as sleep } from 'node:timers/promises';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { gpuNode, jobResource } from '../../test/support/kubernetes.ts';
import { BenchApi } from './api.ts';
import { startControllerProcess } from './controller-process.ts';
import type { Row, Server } from './row.ts';
import { countObjects, createJob, createNode, forEachIndex } from './world.ts';

const GPUS = 8;
const PODS_PER_JOB = 2;
const LIMIT_SECONDS = 120;
const REPORT_EVERY_MS = 200;

/** So many jobs at once, each with a plan for a device of each of two nodes: how long until every pod is created. */
export async function manyJobs(server: Server, jobs: number): Promise<Row[]> {
  const api = new BenchApi(server.kubeConfig);
  const plan = twoNodePlan();
  const pairs = Math.ceil(jobs / GPUS);
  await forEachIndex(2 * pairs, (i) => createNode(api, `node-${i}`, GPUS));
  await forEachIndex(jobs, (i) =>
    createPlanMap(
      api,
      i,
      plan
        .replaceAll('node-a', `node-${2 * Math.floor(i / GPUS)}`)
        .replaceAll('node-b', `node-${2 * Math.floor(i / GPUS) + 1}`),
    ),
  );
  const controller = await startControllerProcess(server.kubeconfigPath);
  try {
    const startMs = performance.now();
    const seconds = (): number => (performance.now() - startMs) / 1000;
    const spec = (i: number): object => ({
      devices: { min: PODS_PER_JOB, max: PODS_PER_JOB },
      storage: { configMap: { name: `given-${i}` } },
      plan: 'plan.json',
    });
    await forEachIndex(jobs, (i) => createJob(api, `many-${i}`, { ...spec(i) }));
    const applied = seconds();
    let pods = 0;
    while (pods < PODS_PER_JOB * jobs) {
      if (seconds() > LIMIT_SECONDS) throw new Error(`only ${pods} pods within ${LIMIT_SECONDS} s`);
      await sleep(REPORT_EVERY_MS);
      pods = await countObjects(api, '/api/v1/namespaces/default/pods');
    }
    const created = seconds();
    const p99 = await controller.quantile('controller_runtime_reconcile_time_seconds', 0.99);
    const peakBytes = await controller.peakBytes();
    const megabytes = (peakBytes / 1e6).toFixed(0);
    const cpu = await controller.cpuSeconds();
    return [
      {
        case: `${jobs} TrainingJobs at once (applied within ${applied.toFixed(1)} s), ${PODS_PER_JOB} pods each, plans given`,
        result: `every pod created after ${created.toFixed(1)} s; p99 of a visit at most ${p99} s; at most ${megabytes} MB; ${cpu.toFixed(1)} s of CPU`,
        measured: { createdSeconds: created, p99Seconds: Number(p99), peakBytes, cpuSeconds: cpu },
      },
    ];
  } finally {
    await controller.kill('SIGKILL');
    api.close();
  }
}

async function createPlanMap(api: BenchApi, index: number, plan: string): Promise<void> {
  const metadata = { name: `given-${index}`, namespace: 'default' };
  await api.must('POST', '/api/v1/namespaces/default/configmaps', { metadata, data: { 'plan.json': plan } });
}

/** A plan of the jobs' model for one device of node-a and one of node-b. */
export function twoNodePlan(): string {
  const parsed = parseTrainingJob(jobResource());
  if ('problems' in parsed) throw new Error('the job of the benchmark is invalid');
  const settings = { ...parsed.job.spec.devices, min: PODS_PER_JOB, max: PODS_PER_JOB };
  const { cluster } = discoverCluster([gpuNode('node-a', 1), gpuNode('node-b', 1)], [], settings, () => false);
  const { plan } = findPlan(
    { training: attachLoss(lenet(16), 'crossEntropy'), cluster: createCluster(cluster), costs: createRooflineCosts() },
    { seconds: 60, proposals: 5, seed: 1, beta: 20, chains: 1, start: ['data'] },
    { nowMs: () => 0 },
  );
  return encodePlan(plan);
}
