import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { discoverCluster } from '../../operator/discovery/discover.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { lenet } from '../../soap/models/lenet.ts';
import { findPlan } from '../../soap/search/find-plan.ts';
import type { Plan } from '../../soap/plan/plan.ts';

const SETTINGS = { resource: 'nvidia.com/gpu', min: 1, max: 16, nodeSelector: {}, tolerations: [] };

/** A plan of LeNet for all GPUs of nodes. */
export function planOn(nodes: readonly V1Node[]): Plan {
  const cluster = createCluster(discoverCluster(nodes, [], SETTINGS, () => false).cluster);
  const problem = { training: attachLoss(lenet(16), 'crossEntropy'), cluster, costs: createRooflineCosts() };
  const settings = { seconds: 60, proposals: 1, seed: 1, beta: 20, chains: 1 };
  return findPlan(problem, { ...settings, start: ['data'] }, { nowMs: () => 0 }).plan;
}

/** A pod of an attempt of the job of `jobResource`. @param node undefined where it is not placed */
export function attemptPod(
  attempt: number,
  index: number,
  node: string | undefined,
  status: NonNullable<V1Pod['status']>,
  creationTimestamp?: Date,
): V1Pod {
  const labels = { 'soapstone.dev/job': 'job', 'soapstone.dev/attempt': String(attempt) };
  const ownerReferences = [{ apiVersion: 'x', kind: 'TrainingJob', name: 'job', uid: 'job-uid' }];
  const metadata = { name: `job-${attempt}-${index}`, namespace: 'default', labels, ownerReferences };
  return {
    metadata: { ...metadata, ...(creationTimestamp && { creationTimestamp }) },
    spec: { containers: [], ...(node !== undefined && { nodeName: node }) },
    status,
  };
}
