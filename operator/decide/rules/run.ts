import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { TrainingJob } from '../../../soap/job/training-job.ts';
import type { Plan } from '../../../soap/plan/plan.ts';
import { milliseconds } from '../../../soap/measurement/blame.ts';
import { childNames, jobChildren, nodesOf, SPEC_LABEL } from '../children.ts';
import type { AttemptFailure } from '../failures.ts';
import { attemptFailure, causeLeftMs, isLost, lossDueMs } from '../failures.ts';
import { lastWords } from '../last-words.ts';
import { podDigest } from '../pod-digest.ts';
import { jobPods } from '../pods.ts';
import type { Actions, Decision, PodRemoval, SecretKind } from '../types.ts';
import type { Visit } from '../visit.ts';
import { attemptOf, end, find, helperPods, ownPods, podName, takenNames } from '../visit.ts';
import { fixedFields } from './identity.ts';
import { atEnd, failed, removals } from './lifetime.ts';
import { considerMove } from './moves.ts';
import { followPods, isPlaced, placementLeftMs } from './placement.ts';
import { awaitPlanNodes, planFirst, planObstacle } from './planning.ts';
import { percent, reportProgress } from './progress.ts';
import { awaitAdmission } from './queueing.ts';
import { replan } from './replan.ts';
import { isStuck, pauseLeftMs, restart } from './restart.ts';

/** Pods that were told to end, or have the names of the job's, are looked at again after so long, though an event should come first. */
const LOOK_AGAIN_MS = 5000;

/** A job with a plan: starts its pods, follows them, restarts them, sees them end. */
export function run(visit: Visit, job: TrainingJob, plan: Plan): Decision {
  const { observed, progress } = visit;
  describePlan(visit, plan);
  const pods = ownPods(visit);
  const current = pods.filter((pod) => attemptOf(pod) === progress.attempt);
  const nodes = new Map(observed.nodes.map((node) => [node.metadata?.name ?? '', node]));
  const stale = staleRemovals(visit, pods, nodes);
  const wanted = nodesOf(plan).length;
  const failure =
    attemptFailure(current, nodes, visit.options.now) ??
    missingPod(visit, current, wanted) ??
    otherSpec(job, current, wanted);
  if (failure !== undefined) return awaitCause(visit, current, failure) ?? giveUp(visit, job, failure);
  if (current.length === wanted && current.every(({ status }) => status?.phase === 'Succeeded'))
    return complete(visit, current);
  if (current.length === 0) {
    const wait = beforeStart(visit, job, plan, pods, stale);
    if (wait !== undefined) return wait;
  }
  progress.fixed ??= fixedFields(job);
  stale.push(...removals(helperPods(visit)));
  const taken = takenNames(visit, wanted);
  const missing = current.length < wanted ? creation(visit, job, plan, { current, taken }) : {};
  const queued = awaitAdmission(visit, job, plan, current);
  if (queued !== undefined) return { ...queued, ...missing, deletePods: [...queued.deletePods, ...stale] };
  const leftMs = placementLeftMs(visit, current, wanted);
  if (leftMs !== undefined && leftMs <= 0) return giveBack(visit, job, plan, current);
  const state = followPods(visit, current, wanted);
  if (state === 'Running') reportProgress(visit, plan);
  const step = state === 'Running' ? considerMove(visit, job, plan, current) : { actions: {} };
  if ('decision' in step) return step.decision;
  const lossMs = lossDueMs(current, nodes, visit.options.now);
  const takenMs = taken.length > 0 ? LOOK_AGAIN_MS : undefined;
  const requeueAfterMs = soonest(leftMs, lossMs, takenMs, step.actions.requeueAfterMs);
  return end(visit, state, 'PodsReady', { ...missing, ...step.actions, deletePods: stale, requeueAfterMs });
}

/** A job without a plan: one is made while pods of the attempts before, if there are any, end. */
export function runAnew(visit: Visit, job: TrainingJob): Decision {
  const decision = planFirst(visit, job);
  const pods = ownPods(visit);
  if (pods.length === 0 || decision.status.state === 'Failed') return decision;
  const nodes = new Map(visit.observed.nodes.map((node) => [node.metadata?.name ?? '', node]));
  const deletePods = [...decision.deletePods, ...staleRemovals(visit, pods, nodes)];
  return { ...decision, deletePods, requeueAfterMs: soonest(LOOK_AGAIN_MS, decision.requeueAfterMs) };
}

/** Pods without a plan: somebody deleted or changed the ConfigMap. Others beside them would follow another plan. */
export function lostPlan(visit: Visit, job: TrainingJob): Decision | undefined {
  const current = ownPods(visit).filter((pod) => attemptOf(pod) === visit.progress.attempt);
  if (current.length === 0) return undefined;
  const what = `the plan is not in ConfigMap ${childNames.plan(job.metadata.name)} any more, or cannot be read`;
  return restart(visit, job, { kind: 'Evicted', reason: 'PlanLost', what });
}

function soonest(...times: readonly (number | undefined)[]): number | undefined {
  const known = times.filter((time) => time !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

function describePlan(visit: Visit, plan: Plan): void {
  const { iterationMs } = plan.prediction;
  visit.progress.devices = plan.cluster.devices.length;
  visit.progress.iteration = milliseconds(iterationMs);
  const speedup = (plan.baselines['data']?.iterationMs ?? iterationMs) / iterationMs;
  const message = `${visit.progress.iteration} an iteration predicted, ${speedup.toFixed(2)} times as fast as data parallelism`;
  find(visit, 'PlanFound', 'True', 'PlanFound', `${message}${describeCosts(visit, plan)}`);
}

/** What the plan's times rest on: a clause for the message, and the status. */
function describeCosts({ progress }: Visit, { costs }: Plan): string {
  if (costs === undefined) return '';
  const share = (part: number): string => `${Math.round(100 * part)} %`;
  const { measured, interpolated, roofline } = costs;
  progress.costs = {
    ...progress.costs,
    measured: share(measured),
    interpolated: share(interpolated),
    roofline: share(roofline),
  };
  if (measured + interpolated === 0) return '; all times of tasks are from data sheets';
  return `; of its compute time ${share(measured)} is measured, ${share(interpolated)} interpolated, ${share(roofline)} from data sheets`;
}

/** Pods that all ran once, and one is no longer there: somebody deleted it. Others of its attempt cannot go on with another. */
function missingPod({ observed }: Visit, current: readonly V1Pod[], wanted: number): AttemptFailure | undefined {
  if (current.length >= wanted) return undefined;
  const before = observed.resource.status?.conditions?.find(({ type }) => type === 'PodsReady');
  const wasRefused = before?.reason === 'NotAccepted' && current.length > 0;
  if (before?.status !== 'True' && !wasRefused) return undefined;
  return { kind: 'Evicted', what: `${wanted - current.length} of ${wanted} pods were deleted` };
}

/**
 * Pods of which some are still to be created, made from another spec than those would be: all of an attempt train alike, in pods alike.
 * Pods of a controller before this one do not say what they were made from.
 */
function otherSpec({ spec }: TrainingJob, current: readonly V1Pod[], wanted: number): AttemptFailure | undefined {
  if (current.length >= wanted) return undefined;
  const digest = podDigest(spec);
  const isOther = current.some(({ metadata }) => (metadata?.labels?.[SPEC_LABEL] ?? digest) !== digest);
  const what = `the spec was changed when ${current.length} of ${wanted} pods were there`;
  return isOther ? { kind: 'Evicted', reason: 'SpecChanged', what } : undefined;
}

/** A pod that lost a peer says nothing of why: another may have crashed, or a node died, and it is not known yet. */
function awaitCause(visit: Visit, current: readonly V1Pod[], { kind, what }: AttemptFailure): Decision | undefined {
  const leftMs = kind === 'PeerLost' ? causeLeftMs(current, visit.options.now) : 0;
  if (leftMs <= 0) return undefined;
  const message = `${what}; the other pods are awaited, to tell why`;
  find(visit, 'PodsReady', 'False', 'PeerLost', message);
  return end(visit, 'Restarting', 'PodsReady', { requeueAfterMs: leftMs });
}

function giveUp(visit: Visit, job: TrainingJob, failure: AttemptFailure): Decision {
  if (failure.reason === 'Diverged') return diverged(visit, failure);
  return failure.kind === 'NotPlaced' ? replan(visit, job, failure) : restart(visit, job, failure);
}

/** A plan and a seed fix the training to the bit: another attempt would end alike. */
function diverged(visit: Visit, { what }: AttemptFailure): Decision {
  find(visit, 'Failed', 'True', 'Diverged', what);
  return failed(visit);
}

function complete(visit: Visit, current: readonly V1Pod[]): Decision {
  const attempts = visit.progress.attempt + 1;
  const [said] = current.flatMap(({ status }) =>
    (status?.containerStatuses ?? []).flatMap(({ state }) => lastWords(state?.terminated) ?? []),
  );
  const words = said === undefined ? '' : `; ${said}`;
  find(visit, 'PodsReady', 'False', 'Finished', 'every pod has done its work');
  visit.progress.progress = percent(1, 1);
  find(
    visit,
    'Complete',
    'True',
    'TrainingComplete',
    `trained in ${attempts} attempt${attempts === 1 ? '' : 's'}${words}`,
  );
  return end(visit, 'Complete', 'Complete', atEnd(visit));
}

/** What must be so before the first pod of an attempt is created; undefined once all is. */
function beforeStart(
  visit: Visit,
  job: TrainingJob,
  plan: Plan,
  pods: readonly V1Pod[],
  stale: readonly PodRemoval[],
): Decision | undefined {
  const { attempt, lastFailure } = visit.progress;
  const restarting = attempt > 0;
  const cause = lastFailure === undefined ? '' : `: ${lastFailure}`;
  if (pods.length > 0) {
    const { applyError } = visit.observed;
    const trouble = applyError === undefined ? '' : `; ${applyError.message}`;
    const message = `waiting for ${pods.map(podName).join(', ')} of the attempt before to end${cause}${trouble}`;
    find(visit, 'PodsReady', 'False', 'WaitingForOldPods', message);
    return end(visit, 'Restarting', 'PodsReady', { deletePods: stale, requeueAfterMs: LOOK_AGAIN_MS });
  }
  const pauseMs = pauseLeftMs(visit);
  if (pauseMs > 0) {
    const message = `attempt ${attempt} starts in ${Math.ceil(pauseMs / 1000)} s${cause}`;
    find(visit, 'PodsReady', 'False', 'BackingOff', message);
    return end(visit, 'Restarting', 'PodsReady', { requeueAfterMs: pauseMs });
  }
  const obstacle = planObstacle(visit, job, plan);
  if (obstacle === undefined) return undefined;
  if (job.spec.plan !== undefined) return awaitPlanNodes(visit, obstacle);
  if (visit.observed.search.kind === 'found') {
    find(visit, 'PlanFound', 'Unknown', 'PlanOutdated', obstacle);
    const state = restarting ? 'Restarting' : 'Searching';
    return end(visit, state, 'PlanFound', { forgetSearch: true, requeueAfterMs: 100 });
  }
  return planFirst(visit, job);
}

/**
 * What an attempt needs. Where other pods have names of its own, only those are tried, which says whose they are: the rest would hold
 * devices for nothing.
 */
function creation(
  { observed, progress, options }: Visit,
  job: TrainingJob,
  plan: Plan,
  { current, taken }: { readonly current: readonly V1Pod[]; readonly taken: readonly string[] },
): Partial<Actions> {
  const { resource } = observed;
  // The controller may have been upgraded since the others were created: all pods of an attempt are of one version.
  const image = current.flatMap(({ spec }) => spec?.containers[0]?.image ?? [])[0] ?? options.image;
  const { attempt } = progress;
  const { uid = '' } = resource.metadata;
  const kinds: SecretKind[] = job.spec.tls ? ['token', 'certificate'] : ['token'];
  const pods = jobPods(resource, job, plan, attempt, { image, nodes: observed.nodes });
  return {
    children: jobChildren(resource, job, plan, attempt, options),
    pods: taken.length > 0 ? pods.filter(({ metadata }) => taken.includes(metadata.name)) : pods,
    secrets: kinds,
    deleteAttempts: attempt > 0 ? [childNames.attempt(job.metadata.name, attempt - 1, uid)] : [],
  };
}

/** All pods or none: those that were placed would only hold devices. */
function giveBack(visit: Visit, job: TrainingJob, plan: Plan, current: readonly V1Pod[]): Decision {
  const { applyError } = visit.observed;
  const nodes = nodesOf(plan);
  const wanted = nodes.length;
  const placed = current.filter(isPlaced).length;
  const seconds = visit.options.placementDeadlineMs / 1000;
  const why = applyError === undefined || current.length === wanted ? '' : `: ${applyError.message}`;
  const what = `only ${placed} of ${wanted} pods were placed within ${seconds} s${why}; all are given back`;
  const waiting = new Set(current.filter((pod) => !isPlaced(pod)).map(podName));
  const isWaiting = (index: number): boolean =>
    waiting.has(childNames.pod(job.metadata.name, visit.progress.attempt, index));
  const unplaced = nodes.filter((_, index) => isWaiting(index)).map(({ node }) => node);
  return replan(visit, job, { kind: 'NotPlaced', what, unplaced });
}

function staleRemovals(visit: Visit, pods: readonly V1Pod[], nodes: ReadonlyMap<string, V1Node>): PodRemoval[] {
  const { now } = visit.options;
  const stale = pods.filter((pod) => attemptOf(pod) !== visit.progress.attempt);
  const stuck = stale.filter((pod) => isStuck(pod, isLost(nodes.get(pod.spec?.nodeName ?? ''), now), now));
  return [...removals(stale), ...stuck.map((pod) => ({ name: podName(pod), force: true }))];
}
