import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { CoreV1Api } from '@kubernetes/client-node';
import test from 'ava';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel } from '../../soap/baselines/data-parallel.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import type { Prometheus } from '../dashboards/prometheus.ts';
import { HAS_PROMETHEUS, startPrometheus } from '../dashboards/prometheus.ts';
import { allQuestions, unanswered } from '../dashboards/questions.ts';
import type { PodMonitor, ServiceMonitor } from '../dashboards/scrape-configs.ts';
import { podScrapes, servePods, serviceScrape } from '../dashboards/scrape-configs.ts';
import { LENET_SPEC } from '../support/kubernetes.ts';
import { freePorts } from '../support/ports.ts';
import type { ControlPlane } from '../support/cluster/control-plane.ts';
import { helm, startControlPlane } from '../support/cluster/control-plane.ts';
import { NodeAgent } from '../support/cluster/node-agent.ts';
import { createNode } from '../support/cluster/nodes.ts';

const CRD = new URL('../../crds/trainingjobs.yaml', import.meta.url).pathname;
const CHART = new URL('../../charts/soapstone/', import.meta.url).pathname;
const GOLDEN = new URL('../golden/mlp', import.meta.url).pathname;
const CONTROLLER = new URL('../../operator/main.ts', import.meta.url).pathname;
const PATIENCE_MS = 150_000;

const run = HAS_PROMETHEUS ? test : test.skip;
const logs: string[] = [];

/** Of the chart as helm renders it. */
async function monitors(): Promise<{ readonly pods: PodMonitor; readonly controller: ServiceMonitor }> {
  const text = await helm('template', 's', CHART, '--set', 'podMonitor.enabled=true,serviceMonitor.enabled=true');
  const manifests = parseAllDocuments(text);
  const find = (kind: string): (typeof manifests)[number] => {
    const found = manifests.find((manifest) => manifest.get('kind') === kind);
    if (found === undefined) throw new Error(`the chart makes no ${kind}`);
    return found;
  };
  const [pods, controller]: [PodMonitor, ServiceMonitor] = [find('PodMonitor').toJS(), find('ServiceMonitor').toJS()];
  return { pods, controller };
}

/** Golden mlp, data parallel on two nodes by a plan that the job gives, until it is stopped. */
async function trainedJob(nodes: readonly string[]): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-storage-'));
  await cp(GOLDEN, folder, { recursive: true });
  const { spec, ...rest }: { spec: Record<string, unknown> } = parse(await readFile(join(folder, 'job.yaml'), 'utf8'));
  Object.assign(spec['training'] ?? {}, { steps: 1e7 });
  const job = {
    ...rest,
    metadata: { name: 'trained', namespace: 'default' },
    spec: {
      ...spec,
      plan: 'plan.json',
      storage: { hostPath: { path: folder } },
      devices: { resource: 'nvidia.com/gpu', min: 2, max: 2 },
      evaluation: { dataset: spec['dataset'], everySteps: 50 },
      checkpoint: { directory: 'checkpoints', everySteps: 100, keep: 2 },
    },
  };
  await writeFile(join(folder, 'job.yaml'), stringify(job));
  const parsed = parseTrainingJob(job);
  if ('problems' in parsed) throw new Error(`the job of the test is invalid: ${JSON.stringify(parsed.problems)}`);
  const { training } = await loadModel(parsed.job, folder);
  const preset = presetCluster('p100x2').description;
  const cluster = createCluster({
    ...preset,
    devices: preset.devices.map((device, index) => ({ ...device, node: nodes[index] ?? device.node })),
  });
  const strategy = dataParallel(training.graph, cluster);
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = createPlan({ training, cluster }, strategy, {
    prediction,
    baselines: { data: prediction },
    origin: 'data',
  });
  await writeFile(join(folder, 'plan.json'), encodePlan(plan));
  return folder;
}

function startController(plane: ControlPlane, port: number): ChildProcess {
  const env = {
    ...process.env,
    KUBECONFIG: plane.kubeconfigPath,
    SOAPSTONE_METRICS_PORT: String(port),
    SOAPSTONE_METRICS_HOST: '127.0.0.1',
    SOAPSTONE_HOST_PATH_MODELS: 'true',
    SOAPSTONE_PROFILE_PODS: 'false',
  };
  const child = spawn(process.execPath, [CONTROLLER], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (data: Buffer) => logs.push(data.toString().trimEnd()));
  return child;
}

async function until(what: string, check: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + PATIENCE_MS;
  while (!(await check())) {
    if (performance.now() > deadline)
      throw new Error(`not within ${PATIENCE_MS / 1000} s: ${what}\n${logs.slice(-30).join('\n')}`);
    await sleep(200);
  }
}

run(
  'every panel, alert and variable has data of a job that trains, one that was searched, and the controller',
  async (t) => {
    const beganMs = performance.now();
    // Removed last: pods write checkpoints into it until they are stopped.
    const folder = await trainedJob(['gpu-a', 'gpu-b']);
    t.teardown(() => rm(folder, { recursive: true, force: true }));
    const plane = await startControlPlane();
    t.teardown(() => plane.stop());
    await plane.kubectl('apply', '-f', CRD);
    await plane.kubectl('wait', '--for=condition=Established', 'crd/trainingjobs.soapstone.dev', '--timeout=30s');
    for (const name of ['gpu-a', 'gpu-b', 'gpu-c', 'gpu-d', 'gpu-e']) await createNode(plane, name, 1);
    const agent = new NodeAgent({ kubeConfig: plane.kubeConfig, onLog: (line) => logs.push(line) });
    agent.start();
    t.teardown(() => agent.stop());
    const [port = 0] = await freePorts(1);
    const controller = startController(plane, port);
    t.teardown(() => controller.kill('SIGKILL'));
    const { pods, controller: service } = await monitors();
    const core = plane.kubeConfig.makeApiClient(CoreV1Api);
    const discovery = await servePods(async () => (await core.listPodForAllNamespaces()).items);
    t.teardown(() => discovery.stop());
    const prometheus: Prometheus = await startPrometheus([
      ...podScrapes(pods, discovery.url),
      serviceScrape(service, `127.0.0.1:${port}`, 'soapstone-system'),
    ]);
    t.teardown(() => prometheus.stop());

    const state = async (name: string): Promise<string> => {
      const { status } = await plane.readJob(name);
      return `${status?.state} ${status?.attempt}`;
    };
    await plane.kubectl('apply', '-f', join(folder, 'job.yaml'));
    await until('trained runs', async () => (await state('trained')) === 'Running 0');
    const apply = async (name: string, spec: object): Promise<void> => {
      const job = {
        apiVersion: 'soapstone.dev/v1alpha1',
        kind: 'TrainingJob',
        metadata: { name, namespace: 'default' },
      };
      await writeFile(join(folder, `${name}.json`), JSON.stringify({ ...job, spec: { ...LENET_SPEC, ...spec } }));
      await plane.kubectl('apply', '-f', join(folder, `${name}.json`));
    };
    await apply('searched', { devices: { min: 2, max: 2 }, search: { seconds: 12 } });
    // Its pod finds no node, so that it starts for ever.
    const nowhere = { template: { spec: { nodeSelector: { never: 'there' } } } };
    await apply('unplaced', { ...nowhere, devices: { min: 1, max: 1 }, search: { seconds: 60, proposals: 5 } });
    await until('a checkpoint', async () => (await readdir(join(folder, 'checkpoints')).catch(() => [])).length > 0);
    await agent.crash('trained-0-1');
    await until('trained runs again', async () => (await state('trained')) === 'Running 1');

    const strategyOfOne = allQuestions('trained').filter(({ from }) => from.includes('Strategy'));
    const others = allQuestions('.*').filter(({ from }) => !from.includes('Strategy'));
    t.deepEqual(await unanswered(prometheus, [...strategyOfOne, ...others], beganMs), [], logs.slice(-10).join('\n'));

    const attempts = await prometheus.query(
      'count by (attempt) (soapstone_predicted_iteration_seconds{job_name="trained"})',
    );
    t.true(
      attempts.some(({ labels }) => labels['attempt'] === '1'),
      "the PodMonitor's relabeling adds the attempt",
    );
    const [state1] = await prometheus.query('soapstone_job_state{job_name="trained"}');
    t.is(state1?.labels['namespace'], 'default', "a job's series keep its namespace");
    const [firing] = await prometheus.query('max(leader_election_master_status)');
    t.is(firing?.values[0]?.[1], 1);
  },
);
