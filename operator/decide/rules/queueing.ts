import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJob } from '../../../soap/job/training-job.ts';
import type { Plan } from '../../../soap/plan/plan.ts';
import { HOSTNAME_LABEL, hostnameOf } from '../../discovery/locality.ts';
import { childNames, nodesOf } from '../children.ts';
import { PLAN_GATE } from '../queue.ts';
import type { Decision, PodPlacement } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find, podName } from '../visit.ts';
import { creationReason } from './placement.ts';
import { isAdmitted } from './planning.ts';
import { restart } from './restart.ts';

/**
 * Holds pods that a queue has not admitted. Once it has, it may have bound them to nodes with certain labels: a plan for others
 * is given up, and one for those is made.
 */
export function awaitAdmission(
  visit: Visit,
  job: TrainingJob,
  plan: Plan,
  current: readonly V1Pod[],
): Decision | undefined {
  const gated = current.filter((pod) => gatesOf(pod).includes(PLAN_GATE));
  if (gated.length === 0) return undefined;
  if (current.length < nodesOf(plan).length || gated.some((pod) => gatesOf(pod).length > 1)) {
    const message = `${current.length} pods wait for their queue to admit them`;
    find(visit, 'PodsReady', 'False', 'WaitingForAdmission', message);
    return end(visit, 'Queued', 'PodsReady');
  }
  const admitted = admittedLabels(gated, job);
  const names = new Set(nodesOf(plan).map(({ node }) => node));
  const nodes = visit.observed.nodes.filter(({ metadata }) => names.has(metadata?.name ?? ''));
  if (nodes.length === names.size && nodes.every((node) => isAdmitted(node, admitted))) {
    const { applyError } = visit.observed;
    if (applyError === undefined)
      find(visit, 'PodsReady', 'False', 'Starting', 'the queue admitted the pods to the nodes of the plan');
    else find(visit, 'PodsReady', 'False', creationReason(applyError), applyError.message);
    return end(visit, 'Starting', 'PodsReady', { ungatePods: placements(visit, job, plan, gated) });
  }
  visit.progress.admitted = admitted;
  const labels = Object.entries(admitted).map(([key, value]) => `${key}=${value}`);
  const what = `the queue admitted the pods to nodes with ${labels.join(', ')}, which the plan is not for`;
  const decision = restart(visit, job, { kind: 'NotPlaced', reason: 'AdmittedElsewhere', what });
  return { ...decision, forgetSearch: true };
}

function placements(
  { observed, progress: { attempt } }: Visit,
  { metadata: { name } }: TrainingJob,
  plan: Plan,
  pods: readonly V1Pod[],
): PodPlacement[] {
  const names = new Set(pods.map(podName));
  return nodesOf(plan)
    .map(({ node }, index) => ({
      name: childNames.pod(name, attempt, index),
      hostname: hostnameOf(node, observed.nodes),
    }))
    .filter((placement) => names.has(placement.name));
}

function gatesOf({ spec }: V1Pod): string[] {
  return (spec?.schedulingGates ?? []).map(({ name }) => name);
}

/** What the queue added to the node selector that the pods were created with. */
function admittedLabels(pods: readonly V1Pod[], job: TrainingJob): Record<string, string> {
  const own = job.spec.devices.nodeSelector;
  const selectors = pods.flatMap(({ spec }) => Object.entries(spec?.nodeSelector ?? {}));
  return Object.fromEntries(selectors.filter(([key]) => key !== HOSTNAME_LABEL && !(key in own)));
}
