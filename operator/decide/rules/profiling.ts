import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJob } from '../../../soap/job/training-job.ts';
import { costTableNames, modelKey, tableName } from '../table-names.ts';
import { hostnameOf } from '../../discovery/locality.ts';
import { UNKNOWN_TYPE } from '../../discovery/node-devices.ts';
import { jobNetworkPolicy, MODEL_LABEL, PROFILE_LABEL } from '../children.ts';
import { attemptFailure } from '../failures.ts';
import { podTrouble } from '../pod-trouble.ts';
import { profileDeadlineSeconds, profilePod, profilePodName } from '../profile-pod.ts';
import { isGated } from '../queue.ts';
import type { Reason } from '../reasons.ts';
import { workerImage } from '../template.ts';
import type { Actions, Decision } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find, hasEnded, helperPods, isOwn, podName } from '../visit.ts';
import { removals } from './lifetime.ts';

/** A pod that the scheduler finds no place for is given up after so long: the devices were free a moment ago. */
const PLACEMENT_MS = 30_000;

/** Pods are looked at again after so long, though an event should come first. */
const LOOK_AGAIN_MS = 5000;

/** A type of device that the job may get. */
interface DeviceKind {
  readonly type: string;
  readonly node: string;
  readonly devicesPerNode: number;
  readonly table: string;
}

/** How far the measuring of a type is. */
type Step =
  | { readonly kind: 'known' }
  | { readonly kind: 'failed'; readonly reason: Reason; readonly message: string; readonly remove?: V1Pod }
  | { readonly kind: 'waiting'; readonly message: string; readonly actions: Partial<Actions> };

/**
 * Lets a pod measure each type of device for which nobody measured the model yet; undefined once all is known, or cannot be: then the
 * search goes on with what there is.
 */
export function profileFirst(visit: Visit, job: TrainingJob): Decision | undefined {
  const { costs, search } = visit.observed;
  if (costs === undefined || job.spec.plan !== undefined) return undefined;
  const kinds = deviceKinds(visit, job);
  const unread = costTableNames(
    kinds.map(({ type }) => type),
    job,
  ).filter((table) => !costs.has(table));
  if (unread.length > 0) {
    // As the visit after this one says it, where nothing is to be measured: a status is written once. What a model lacked that is
    // looked for again stays until it is there.
    if (search.kind === 'none') find(visit, 'PlanFound', 'Unknown', 'Searching', searchMessage(job));
    return end(visit, 'Searching', 'PlanFound', { readCosts: unread, requeueAfterMs: 1 });
  }
  if (!job.spec.profile || !visit.options.profilePods) {
    const which = job.spec.profile ? 'config.profilePods' : 'spec.profile';
    find(visit, 'CostsMeasured', 'False', 'ProfilingOff', `${which} is false: no device is measured for this job`);
    return undefined;
  }
  const unmeasured = visit.progress.costs?.unmeasured ?? {};
  const steps = kinds
    .filter(({ type }) => unmeasured[type] === undefined)
    .map((kind) => ({ kind, step: stepOf(visit, job, kind) }));
  const gone = steps.flatMap(({ step }) => (step.kind === 'failed' ? removals(step.remove ? [step.remove] : []) : []));
  for (const { kind, step } of steps) if (step.kind === 'failed') giveUp(visit, kind, step.reason, step.message);
  const waiting = steps.flatMap(({ step }) => (step.kind === 'waiting' ? [step] : []));
  if (waiting.length > 0) return wait(visit, waiting, gone);
  if (Object.keys(visit.progress.costs?.unmeasured ?? {}).length === 0) {
    const types = kinds.map(({ type, table }) => `${type} (ConfigMap ${table})`).join(', ');
    find(visit, 'CostsMeasured', 'True', 'CostsKnown', `the model was measured on ${types}`);
  }
  if (gone.length === 0) return undefined;
  return end(visit, 'Searching', 'CostsMeasured', { deletePods: gone, requeueAfterMs: 1 });
}

/** What a search that has begun says. */
export function searchMessage({ spec: { search } }: TrainingJob): string {
  return `searching for up to ${search.seconds} s`;
}

function wait(
  visit: Visit,
  steps: readonly (Step & { readonly kind: 'waiting' })[],
  deletePods: Actions['deletePods'],
): Decision {
  const message = steps.map((step) => step.message).join('; ');
  find(visit, 'CostsMeasured', 'Unknown', 'Profiling', message);
  const actions = steps.map((step) => step.actions);
  const all = <K extends 'pods' | 'children' | 'takeReports' | 'deletePods'>(field: K): Actions[K][number][] =>
    actions.flatMap((each) => [...(each[field] ?? [])]);
  const [policy] = all('children');
  return end(visit, 'Searching', 'CostsMeasured', {
    pods: all('pods'),
    children: policy === undefined ? [] : [policy],
    takeReports: all('takeReports'),
    deletePods: [...deletePods, ...all('deletePods')],
    requeueAfterMs: Math.min(...actions.map(({ requeueAfterMs }) => requeueAfterMs ?? LOOK_AGAIN_MS)),
  });
}

function giveUp(visit: Visit, { type }: DeviceKind, reason: Reason, message: string): void {
  const told = `${type} is not measured, and the search goes on with data sheets for it: ${message}`;
  const { unmeasured } = visit.progress.costs ?? {};
  visit.progress.costs = { ...visit.progress.costs, unmeasured: { ...unmeasured, [type]: message } };
  find(visit, 'CostsMeasured', 'False', reason, told);
}

function stepOf(visit: Visit, job: TrainingJob, kind: DeviceKind): Step {
  const { observed } = visit;
  const model = modelKey(job, workerImage(job.spec.template, visit.options.image));
  if (kind.type === UNKNOWN_TYPE) {
    const message = 'no label says which product it is; run GPU feature discovery';
    return { kind: 'failed', reason: 'ProfileFailed', message };
  }
  if (observed.costs?.get(kind.table)?.models.includes(model)) return { kind: 'known' };
  const name = profilePodName(job, kind.type);
  const pod = helperPods(visit).find((each) => podName(each) === name);
  if (pod !== undefined && pod.metadata?.labels?.[MODEL_LABEL] !== model) {
    // Of a spec before this one; another of its name follows.
    const message = `pod ${name}, which measures another model, is to end`;
    return { kind: 'waiting', message, actions: { deletePods: removals([pod]) } };
  }
  if (pod !== undefined) return follow(visit, kind, pod, model);
  const other = observed.pods.find((each) => measuresTheSame(visit, each, kind, model));
  if (other !== undefined) {
    const message = `pod ${podName(other)} of another job measures the model on ${kind.type}`;
    return { kind: 'waiting', message, actions: { requeueAfterMs: LOOK_AGAIN_MS } };
  }
  const { applyError, resource } = observed;
  if (applyError !== undefined) return { kind: 'failed', reason: 'ProfileFailed', message: applyError.message };
  const { devices = [] } = visit.discovery?.cluster ?? {};
  const { image, profileSeconds: seconds } = visit.options;
  const { type: deviceType, node, devicesPerNode } = kind;
  const hostname = hostnameOf(node, observed.nodes);
  const spot = { deviceType, hostname, devices: devices.length, devicesPerNode, model, image, seconds };
  return {
    kind: 'waiting',
    message: `pod ${name} is to measure the model on ${deviceType}`,
    actions: {
      pods: [profilePod(resource, job, spot)],
      children: [jobNetworkPolicy(resource, job, visit.options)],
    },
  };
}

/** Two jobs that come at once need not measure the same twice. */
function measuresTheSame({ observed }: Visit, pod: V1Pod, { table }: DeviceKind, model: string): boolean {
  const { namespace, labels = {} } = pod.metadata ?? {};
  return (
    namespace === observed.resource.metadata.namespace &&
    labels[PROFILE_LABEL] === table &&
    labels[MODEL_LABEL] === model &&
    pod.status?.phase === 'Running' &&
    pod.metadata?.deletionTimestamp === undefined &&
    !isOwn(observed.resource, pod)
  );
}

function follow(visit: Visit, { type: deviceType, table }: DeviceKind, pod: V1Pod, model: string): Step {
  const { observed, options } = visit;
  const name = podName(pod);
  const uid = pod.metadata?.uid ?? '';
  if (pod.status?.phase === 'Succeeded') {
    const rejected = observed.rejectedReports?.get(uid);
    if (rejected !== undefined)
      return { kind: 'failed', reason: 'ReportRejected', message: `pod ${name}: ${rejected}` };
    const message = `pod ${name} has measured the model on ${deviceType}`;
    const takeReports = [{ pod: name, uid, table, deviceType, model }];
    return { kind: 'waiting', message, actions: { takeReports, requeueAfterMs: 1 } };
  }
  const deadline = profileDeadlineSeconds(options.profileSeconds);
  const tooSlow = `pod ${name} did not end within ${deadline} s`;
  if (pod.status?.reason === 'DeadlineExceeded') return { kind: 'failed', reason: 'ProfileTooSlow', message: tooSlow };
  const nodes = new Map(observed.nodes.map((node) => [node.metadata?.name ?? '', node]));
  const failure = attemptFailure([pod], nodes, options.now);
  const remove = hasEnded(pod) ? {} : { remove: pod };
  if (failure !== undefined) return { kind: 'failed', reason: 'ProfileFailed', message: failure.what, ...remove };
  const trouble = podTrouble(pod);
  const isStarted = pod.status?.phase === 'Running';
  // A pod that nobody starts or ends, such as one whose kubelet is gone, does not hold the job up either.
  const limitMs = trouble?.reason === 'Unschedulable' ? PLACEMENT_MS : options.placementDeadlineMs;
  const sinceMs = options.now.getTime() - new Date(pod.metadata?.creationTimestamp ?? options.now).getTime();
  if (isStarted && sinceMs > 1000 * deadline + options.placementDeadlineMs + PLACEMENT_MS)
    return { kind: 'failed', reason: 'ProfileTooSlow', message: tooSlow, ...remove };
  if (!isStarted && sinceMs > limitMs) {
    const waited = isGated(pod) ? 'was not admitted by its queue' : 'was not started';
    const message = `pod ${name} ${waited} within ${limitMs / 1000} s${trouble ? `: ${trouble.message}` : ''}`;
    return { kind: 'failed', reason: 'ProfileNotPlaced', message, ...remove };
  }
  const does = isStarted ? `measures the model on ${deviceType}` : `is to measure the model on ${deviceType}`;
  const why = isGated(pod) ? ', once its queue admits it' : trouble === undefined ? '' : `; ${trouble.message}`;
  return { kind: 'waiting', message: `pod ${name} ${does}${why}`, actions: { requeueAfterMs: LOOK_AGAIN_MS } };
}

/** Each type once, with the node that has most of it. */
function deviceKinds({ discovery }: Visit, job: TrainingJob): DeviceKind[] {
  const provider = job.spec.training.kernels;
  const byType = Map.groupBy(discovery?.cluster.devices ?? [], ({ type }) => type);
  return [...byType].map(([type, devices]): DeviceKind => {
    const nodes = [...Map.groupBy(devices, ({ node }) => node)].toSorted(([, a], [, b]) => b.length - a.length);
    const [node, ofNode] = nodes[0]!;
    return { type, node, devicesPerNode: ofNode.length, table: tableName({ deviceType: type, provider }) };
  });
}
