import { cp, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import type { WorkerOptions } from '../../runtime/worker/worker.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import { freePorts } from './ports.ts';
import { goldenCase } from './train-in-memory.ts';

const HOST = '127.0.0.1';

/** What a pod runs golden mlp with, by data parallelism on two devices, 20 steps, in a folder of the test's own. */
export async function twoDevices(
  t: ExecutionContext,
  checkpoint?: TrainingJob['spec']['checkpoint'],
): Promise<Omit<WorkerOptions, 'devices'>> {
  const golden = await goldenCase('mlp');
  const storage = await mkdtemp(join(tmpdir(), 'soapstone-'));
  t.teardown(() => rm(storage, { recursive: true }));
  await cp(golden.directory, storage, { recursive: true });
  const { training } = golden.loaded;
  const cluster = presetCluster('localx2');
  const strategy = dataParallel(training.graph, cluster);
  const prediction = evaluate({ training, cluster, costs: createRooflineCosts() }, strategy);
  const plan = encodePlan(createPlan({ training, cluster }, strategy, { prediction, baselines: {}, origin: 'data' }));
  const { epochs: _, ...settings } = golden.job.spec.training;
  const spec = { ...golden.job.spec, training: { ...settings, steps: 20 }, ...(checkpoint && { checkpoint }) };
  const addresses = (await freePorts(2)).map((port, device) => ({ device, node: `n${device}`, host: HOST, port }));
  return {
    job: { ...golden.job, spec },
    plan,
    addresses,
    storage,
    listenHost: HOST,
    metrics: { host: HOST, port: 0 },
    token: 'token',
    session: 'two/0',
    resume: false,
    connectTimeoutMs: 60_000,
    onEvent: () => undefined,
    stop: new AbortController().signal,
    signal: new AbortController().signal,
  };
}
