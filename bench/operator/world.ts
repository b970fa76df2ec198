import { setTimeout as sleep } from 'node:timers/promises';
import { LENET_SPEC } from '../../test/support/kubernetes.ts';
import type { BenchApi } from './api.ts';

const JOBS = '/apis/soapstone.dev/v1alpha1/namespaces/default/trainingjobs';
const PARALLEL = 8;

/** Runs a function for 0 to count - 1, several at a time. */
export async function forEachIndex(count: number, run: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < count) await run(next++);
  };
  await Promise.all(Array.from({ length: Math.min(count, PARALLEL) }, work));
}

/**
 * Creates a node with labels as GPU feature discovery gives them, and the status of a kubelet: the images on its disk are most of
 * it. Source of their number: kubelet's nodeStatusMaxImages, 50.
 */
export async function createNode(api: BenchApi, name: string, gpus: number): Promise<void> {
  const labels = {
    'kubernetes.io/hostname': name,
    'nvidia.com/gpu.product': 'NVIDIA-H100-80GB-HBM3',
    'nvidia.com/gpu.count': String(gpus),
    'nvidia.com/gfd.timestamp': '0',
  };
  const node = { apiVersion: 'v1', kind: 'Node', metadata: { name, labels } };
  await api.must('POST', '/api/v1/nodes', node);
  const resources = { cpu: '192', memory: '2Ti', pods: '110', 'nvidia.com/gpu': String(gpus) };
  const images = Array.from({ length: 50 }, (_, i) => ({
    names: [
      `registry.example.com/team/image-${i}@sha256:${String(i).padStart(64, 'a')}`,
      `registry.example.com/i:${i}`,
    ],
    sizeBytes: 1e9 + i,
  }));
  const condition = {
    type: 'Ready',
    status: 'True',
    reason: 'KubeletReady',
    message: 'kubelet is posting ready status',
  };
  const status = { allocatable: resources, capacity: resources, conditions: [condition], images };
  const merge = 'application/merge-patch+json';
  await api.must('PATCH', `/api/v1/nodes/${name}/status`, { status }, merge);
  // Admission taints a new node as not ready; the node lifecycle controller, which is not here, would take that back.
  await api.must('PATCH', `/api/v1/nodes/${name}`, { spec: { taints: null } }, merge);
}

/** Creates a job; without more than its name a status is all it gets where no node has devices. */
export async function createJob(
  api: BenchApi,
  name: string,
  spec: Readonly<Record<string, unknown>> = {},
): Promise<void> {
  await api.must('POST', JOBS, {
    apiVersion: 'soapstone.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name, namespace: 'default' },
    spec: { ...LENET_SPEC, devices: { min: 2, max: 4 }, ...spec },
  });
}

/** Waits until a job has a state; returns how long that took. */
export async function secondsUntilStatus(api: BenchApi, name: string, limitSeconds: number): Promise<number> {
  const startMs = performance.now();
  const seconds = (): number => (performance.now() - startMs) / 1000;
  while (seconds() < limitSeconds) {
    const { status }: { status?: { state?: string } } = Object(await api.must('GET', `${JOBS}/${name}`));
    if (status?.state !== undefined) return seconds();
    await sleep(50);
  }
  throw new Error(`job ${name} had no status within ${limitSeconds} s`);
}

/** How many objects there are under a path, without reading them. */
export async function countObjects(api: BenchApi, path: string): Promise<number> {
  const list: { items?: unknown[]; metadata?: { remainingItemCount?: number } } = Object(
    await api.must('GET', `${path}?limit=1`),
  );
  return (list.items?.length ?? 0) + (list.metadata?.remainingItemCount ?? 0);
}
