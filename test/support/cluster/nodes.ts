import { CoreV1Api } from '@kubernetes/client-node';
import type { ControlPlane } from './control-plane.ts';

/** What GPU feature discovery and an administrator say of a node with one P100 and a 100 Gb/s adapter. */
export const P100_LABELS: Readonly<Record<string, string>> = {
  'nvidia.com/gpu.product': 'Tesla-P100-SXM2-16GB',
  'nvidia.com/gpu.count': '1',
  'nvidia.com/gpu.memory': '16280',
  'soapstone.dev/inter-node-bandwidth-gbps': '100',
};

/** Cores and memory of every node: more than this machine has, so that processes of several nodes share it. */
const PROCESSOR = { cpu: '4', memory: '16Gi' };

/** A node with free devices. @param labels beside its name */
export async function createNode(
  plane: ControlPlane,
  name: string,
  devices: number,
  labels: Readonly<Record<string, string>> = { 'nvidia.com/gpu.product': 'Tesla-P100-SXM2-16GB' },
): Promise<void> {
  const core = plane.kubeConfig.makeApiClient(CoreV1Api);
  const metadata = { name, labels: { 'kubernetes.io/hostname': name, ...labels } };
  const node = { apiVersion: 'v1', kind: 'Node', metadata };
  await core.createNode({ body: node });
  const resources = { ...PROCESSOR, 'nvidia.com/gpu': String(devices) };
  const status = { allocatable: resources, capacity: resources, conditions: [{ type: 'Ready', status: 'True' }] };
  await core.replaceNodeStatus({ name, body: { ...node, status } });
  // Admission taints a new node as not ready; the node lifecycle controller, which is not here, would take that back.
  await plane.kubectl('taint', 'node', name, 'node.kubernetes.io/not-ready-');
}
