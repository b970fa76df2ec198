import type { KubeConfig } from '@kubernetes/client-node';
import { CoreV1Api, CustomObjectsApi } from '@kubernetes/client-node';
import { setTimeout as sleep } from 'node:timers/promises';
import { LENET_SPEC } from '../../test/support/kubernetes.ts';

const GROUP = 'soapstone.dev';
const PARALLEL = 40;

/** Runs a function for 0 to count - 1, several at a time. */
export async function forEachIndex(count: number, run: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, PARALLEL) }, work));
}

/** Creates a node with labels as GPU feature discovery gives them; without status it has no devices. */
export async function createNode(config: KubeConfig, name: string): Promise<void> {
  const labels = { 'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3', 'nvidia.com/gfd.timestamp': '0' };
  await config.makeApiClient(CoreV1Api).createNode({ body: { metadata: { name, labels } } });
}

/** Creates a job that no cluster of these benchmarks can place: a status is all it gets. */
export async function createJob(config: KubeConfig, name: string): Promise<void> {
  const body = {
    apiVersion: `${GROUP}/v1alpha1`,
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { ...LENET_SPEC, devices: { min: 2, max: 4 } },
  };
  const where = { group: GROUP, version: 'v1alpha1', namespace: 'default', plural: 'trainingjobs' };
  await config.makeApiClient(CustomObjectsApi).createNamespacedCustomObject({ ...where, body });
}

/** Waits until a job has a state; returns how long that took. */
export async function secondsUntilStatus(config: KubeConfig, name: string, limitSeconds: number): Promise<number> {
  const api = config.makeApiClient(CustomObjectsApi);
  const startMs = performance.now();
  const seconds = (): number => (performance.now() - startMs) / 1000;
  while (seconds() < limitSeconds) {
    const where = { group: GROUP, version: 'v1alpha1', namespace: 'default', plural: 'trainingjobs', name };
    const job: { status?: { state?: string } } = await api.getNamespacedCustomObject(where);
    if (job.status?.state !== undefined) return seconds();
    await sleep(50);
  }
  throw new Error(`job ${name} had no status within ${limitSeconds} s`);
}
