import type { V1Pod } from '@kubernetes/client-node';
import type { Plan } from '../../soap/plan/plan.ts';
import type { ConditionType, JobState, JobStatus, TrainingJobResource } from '../api/resource.ts';
import { CONDITION_TYPES } from '../api/resource.ts';
import type { Discovery } from '../discovery/discover.ts';
import { ATTEMPT_LABEL, childNames, INSPECT_LABEL, PROFILE_LABEL } from './children.ts';
import type { Finding } from './conditions.ts';
import { updatedConditions } from './conditions.ts';
import type { Reason } from './reasons.ts';
import type { Actions, DecideOptions, Decision, JobEvent, Observed } from './types.ts';

/** Longest note of an event; the API server takes 1024 bytes. */
const MAX_NOTE = 1000;

/** The parts of a status that are carried from visit to visit. */
export interface Progress {
  attempt: number;
  devices: number;
  failures: JobStatus['failures'];
  iteration: string | undefined;
  costs: JobStatus['costs'] | undefined;
  progress: string | undefined;
  measured: JobStatus['measured'] | undefined;
  links: JobStatus['links'] | undefined;
  move: JobStatus['move'] | undefined;
  fixed: JobStatus['fixed'] | undefined;
  restartTime: string | undefined;
  lastFailure: string | undefined;
  restarts: JobStatus['restarts'] | undefined;
  startTime: string | undefined;
  admitted: JobStatus['admitted'] | undefined;
  unplaced: JobStatus['unplaced'] | undefined;
}

/** One decision in the making: what was observed, and what the rules have found so far. */
export interface Visit {
  readonly observed: Observed;
  readonly options: DecideOptions;
  readonly findings: Partial<Record<ConditionType, Finding>>;
  /** Conditions of which an event tells even where their reason is no other than before. */
  readonly retold: Set<ConditionType>;
  readonly progress: Progress;
  discovery: Discovery | undefined;
}

/** Starts from what the resource says. */
export function startVisit(observed: Observed, options: DecideOptions): Visit {
  const { status = {} } = observed.resource;
  const { attempt = 0, devices = 0, failures = {}, iteration, restartTime, startTime, admitted, unplaced } = status;
  const { progress, costs, measured, links, move, fixed, lastFailure, restarts } = status;
  return {
    observed,
    options,
    findings: {},
    retold: new Set(),
    progress: {
      attempt,
      devices,
      failures,
      iteration,
      costs,
      progress,
      measured,
      links,
      move,
      fixed,
      restartTime,
      lastFailure,
      restarts,
      startTime,
      admitted,
      unplaced,
    },
    discovery: undefined,
  };
}

/** The plan that the job's pods follow, or are to; undefined where there is none yet. */
export function currentPlan({ observed: { plan, search } }: Visit): Plan | undefined {
  // A search that was started anew is for the plan that comes, not the one in the ConfigMap.
  return search.kind === 'found' ? search.plan : search.kind === 'none' ? plan : undefined;
}

/** Notes what is so about a condition; a later finding replaces it. */
export function find(
  visit: Visit,
  type: ConditionType,
  status: Finding['status'],
  reason: Reason,
  message: string,
): void {
  visit.findings[type] = { status, reason, message };
}

/** Closes the decision. `about` is the condition that explains the state, for the Reason column. */
export function end(visit: Visit, state: JobState, about: ConditionType, actions: Partial<Actions> = {}): Decision {
  const { resource } = visit.observed;
  const conditions = updatedConditions(resource, visit.findings, visit.options.now);
  const { reason = '', message = '' } = conditions.find(({ type }) => type === about) ?? {};
  const before = resource.status?.topology;
  const { attempt, devices, failures, ...optional } = visit.progress;
  const status: JobStatus = {
    state,
    reason,
    message,
    observedGeneration: resource.metadata.generation ?? 0,
    attempt,
    devices,
    failures,
    ...Object.fromEntries(Object.entries(optional).filter(([, value]) => value !== undefined)),
    topology: {
      sources: visit.discovery?.sources ?? before?.sources ?? [],
      skipped: visit.discovery?.skipped ?? before?.skipped ?? [],
    },
    conditions,
  };
  return { status, events: conditionEvents(visit), ...NO_ACTIONS, ...actions };
}

const NO_ACTIONS: Actions = {
  children: [],
  pods: [],
  secrets: [],
  deletePods: [],
  deleteAttempts: [],
  deleteWorkloads: [],
  ungatePods: [],
  startSearch: undefined,
  readCosts: [],
  takeReports: [],
  startMoveSearch: undefined,
  forgetSearch: false,
  forgetMoveSearch: false,
  deleteJob: false,
  requeueAfterMs: undefined,
};

/** An event for each reason that is new; where several conditions have it, of the last, which says what became of the job. */
function conditionEvents(visit: Visit): JobEvent[] {
  const events = changeEvents(visit);
  return events.filter(({ reason }, i) => !events.slice(i + 1).some((later) => later.reason === reason));
}

/** An event for each condition whose status or reason is new, or that is to be told again. */
function changeEvents({ observed, findings, retold }: Visit): JobEvent[] {
  const before = new Map((observed.resource.status?.conditions ?? []).map((condition) => [condition.type, condition]));
  return CONDITION_TYPES.flatMap((type): JobEvent[] => {
    const found = findings[type];
    if (found === undefined) return [];
    const { status, reason, message } = found;
    const old = before.get(type);
    if (old?.status === status && old.reason === reason && !retold.has(type)) return [];
    if (reason === 'NotSuspended' && old?.status !== 'True') return [];
    if (UNTOLD.has(reason)) return [];
    return [{ type: isBad(type, found) ? 'Warning' : 'Normal', reason, message: message.slice(0, MAX_NOTE) }];
  });
}

/** Reasons for a condition that is not true though all goes well. */
const EXPECTED: ReadonlySet<Reason> = new Set([
  'Starting',
  'AdmittedElsewhere',
  'Finished',
  'SuspendRequested',
  'NotSuspended',
  'WaitingForOldPods',
  'WaitingForAdmission',
  'BackingOff',
  'PlanOutdated',
  'FasterThanPredicted',
  'LinkFasterThanLabel',
  'ProfilingOff',
  'MovesOff',
  'NoBetterNodes',
  'GainTooSmall',
  'Moving',
  'Moved',
]);

/** Reasons that are no news, or that only follow from another, which is told. */
const UNTOLD: ReadonlySet<Reason> = new Set(['Ended', 'MovesOff', 'NoBetterNodes', 'ProfilingOff']);

function isBad(type: ConditionType, { status, reason }: Finding): boolean {
  // Not what was meant, though it goes on.
  if (reason === 'UnknownFields') return true;
  return status === (type === 'Failed' ? 'True' : 'False') && !EXPECTED.has(reason);
}

/** The pods of the job's attempts; a pod of another owner with the same labels is none of it. */
export function ownPods({ observed }: Visit): V1Pod[] {
  return observed.pods.filter((pod) => isOwn(observed.resource, pod) && !isHelper(pod));
}

/** Names of the attempt's pods, of which there are so many, that pods which are not the job's have. */
export function takenNames({ observed: { pods, resource }, progress: { attempt } }: Visit, wanted: number): string[] {
  const { name = '', namespace } = resource.metadata;
  const names = new Set(Array.from({ length: wanted }, (_, index) => childNames.pod(name, attempt, index)));
  return pods
    .filter((pod) => names.has(podName(pod)) && pod.metadata?.namespace === namespace && !isOwn(resource, pod))
    .map(podName);
}

/** Pods of the job that read its storage, for this spec or one before. */
export function inspectPods(visit: Visit): V1Pod[] {
  return helperPods(visit).filter(({ metadata }) => metadata?.labels?.[INSPECT_LABEL] !== undefined);
}

/** Pods of the job that are there for its plan: they read its storage, or measure devices. */
export function helperPods({ observed }: Visit): V1Pod[] {
  return observed.pods.filter((pod) => isOwn(observed.resource, pod) && isHelper(pod));
}

function isHelper({ metadata }: V1Pod): boolean {
  return [INSPECT_LABEL, PROFILE_LABEL].some((label) => metadata?.labels?.[label] !== undefined);
}

/**
 * Whether a pod belongs to this very job, not to one of the same name before it. An owner is in the namespace of what it owns: who may
 * write pods elsewhere must not have a say here, even if they know the job's uid.
 */
export function isOwn({ metadata: { uid, namespace } }: TrainingJobResource, { metadata }: V1Pod): boolean {
  return metadata?.namespace === namespace && (metadata?.ownerReferences?.some((owner) => owner.uid === uid) ?? false);
}

export function podName(pod: V1Pod): string {
  return pod.metadata?.name ?? '';
}

export function attemptOf(pod: V1Pod): number {
  return Number(pod.metadata?.labels?.[ATTEMPT_LABEL]);
}

export function hasEnded(pod: V1Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}
