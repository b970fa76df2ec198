import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../../operator/api/resource.ts';

/** A node with GPUs, as GPU feature discovery labels it. */
export function gpuNode(
  name: string,
  gpus: number,
  labels: Readonly<Record<string, string>> = {},
  spec: V1Node['spec'] = {},
): V1Node {
  return {
    metadata: {
      name,
      labels: { 'kubernetes.io/hostname': name, 'nvidia.com/gpu.product': 'NVIDIA-A100-SXM4-40GB', ...labels },
    },
    spec,
    status: { allocatable: { 'nvidia.com/gpu': String(gpus) }, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** A node without GPUs. @param cpu cores that pods may have, as a quantity */
export function coreNode(name: string, cpu: string, labels: Readonly<Record<string, string>> = {}): V1Node {
  return {
    metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
    status: { allocatable: { cpu, memory: '16Gi' }, conditions: [{ type: 'Ready', status: 'True' }] },
  };
}

/** A pod of any owner on a node. */
export function podOn(node: string, gpus: number, phase: string, owner?: string): V1Pod {
  return {
    metadata: {
      name: `pod-on-${node}`,
      namespace: 'default',
      ...(owner === undefined ? {} : { ownerReferences: [{ apiVersion: 'v1', kind: 'X', name: 'x', uid: owner }] }),
    },
    spec: { nodeName: node, containers: [{ name: 'c', resources: { limits: { 'nvidia.com/gpu': String(gpus) } } }] },
    status: { phase },
  };
}

/** What the jobs of tests and benchmarks train: LeNet for five steps. */
export const LENET_SPEC = {
  model: { builtin: { name: 'lenet' } },
  dataset: { synthetic: { samples: 64 } },
  training: {
    batchSize: 16,
    steps: 5,
    loss: { name: 'crossEntropy' },
    optimizer: { name: 'sgd', learningRate: 0.1 },
  },
} as const;

/** A valid job named `job`, changed as a test says. */
export function jobResource(
  spec: Readonly<Record<string, unknown>> = {},
  status: TrainingJobResource['status'] = {},
): TrainingJobResource {
  return {
    apiVersion: 'soapstone.dev/v1alpha1',
    kind: 'TrainingJob',
    metadata: { name: 'job', namespace: 'default', uid: 'job-uid', generation: 1 },
    spec: {
      ...LENET_SPEC,
      devices: { min: 2, max: 4 },
      ...spec,
    },
    status,
  };
}
