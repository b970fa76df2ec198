import type { V1Pod } from '@kubernetes/client-node';
import type { ClusterDescription } from '../../../soap/cluster/cluster.ts';
import type { MoveSettings, TrainingJob } from '../../../soap/job/training-job.ts';
import type { Plan } from '../../../soap/plan/plan.ts';
import { costTableNames } from '../table-names.ts';
import type { Measurement } from '../../../soap/measurement/measurement.ts';
import { milliseconds } from '../../../soap/measurement/blame.ts';
import { jobChildren, nodesOf } from '../children.ts';
import { clusterDigest, clusterShape } from '../cluster-shape.ts';
import type { MoveGain } from '../move-gain.ts';
import { moveGain, restartCost } from '../move-gain.ts';
import { isQueued } from '../queue.ts';
import type { Actions, Decision, SearchState } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find } from '../visit.ts';
import { needsInspection } from './inspection.ts';
import { removals } from './lifetime.ts';
import { discover, offer } from './planning.ts';

/** Nodes may become free without an event of ours. */
const LOOK_AGAIN_MS = 60_000;

/** A decision to move, or what is to be done while the job stays. */
export type MoveStep = { readonly decision: Decision } | { readonly actions: Partial<Actions> };

const STAY: MoveStep = { actions: {} };

/** What the steps of the rule have in common. */
interface Mover {
  readonly visit: Visit;
  readonly job: TrainingJob;
  readonly moves: MoveSettings;
  readonly plan: Plan;
  readonly pods: readonly V1Pod[];
  readonly measurement: Measurement;
  /** Where the job would be planned now. */
  readonly candidate: ClusterDescription;
}

/**
 * Lets a running job move to better nodes, if spec.moves says so: a search in the background for the nodes that are free now,
 * together with its own; if that pays, the job goes when it has its next checkpoint. It does not flap: a move must save a
 * share of all the time that is left, nodes that did not pay are not searched again, and there is a least time between.
 */
export function considerMove(visit: Visit, job: TrainingJob, plan: Plan, pods: readonly V1Pod[]): MoveStep {
  const { moves } = job.spec;
  const { measurement, resource } = visit.observed;
  if (moves === undefined) return stay(visit, 'MovesOff', 'spec.moves is not set');
  if (isQueued(resource)) return stay(visit, 'MovesOff', 'a queue gave the job its nodes');
  if (needsInspection(visit, job)) return stay(visit, 'MovesOff', 'only pods of the job can read its model');
  if (measurement === undefined || measurement.attempt !== visit.progress.attempt)
    return { actions: { requeueAfterMs: LOOK_AGAIN_MS } };
  const candidate = offer(visit, job).cluster;
  const mover: Mover = { visit, job, moves, plan, pods, measurement, candidate };
  const isBetter =
    candidate.devices.length >= job.spec.devices.min && clusterShape(candidate) !== clusterShape(plan.cluster);
  if (!isBetter) return stay(visit, 'NoBetterNodes', `the job has the best of the nodes that are free for it`);
  const { moveSearch: search = { kind: 'none' } } = visit.observed;
  switch (search.kind) {
    case 'none':
      return begin(mover);
    case 'running':
      find(visit, 'MovePlanned', 'Unknown', 'SearchingNodes', `searching a plan for ${describe(candidate)}`);
      return { actions: { requeueAfterMs: LOOK_AGAIN_MS } };
    case 'failed':
      return reject(mover, 'MoveSearchFailed', search.message);
    case 'found':
      return judge(mover, search);
  }
}

/** Starts a search, unless it can bring nothing, or is too soon. */
function begin({ visit, job, moves, plan, pods, measurement, candidate }: Mover): MoveStep {
  const { progress, options } = visit;
  const { rejected, moveTime, searchTime } = progress.move ?? {};
  if (rejected === clusterDigest(candidate)) return { actions: { requeueAfterMs: LOOK_AGAIN_MS } };
  const most = moveGain(measurement, { currentMs: 1, nextMs: 0 }, restartCost(pods, measurement));
  if (most.share < moves.minGainPercent / 100)
    return stay(visit, 'GainTooSmall', 'too little of the job is left for a restart to pay');
  const lastMs = Math.max(...[moveTime, searchTime].map((time) => (time === undefined ? -Infinity : Date.parse(time))));
  const leftMs = lastMs + 1000 * moves.minIntervalSeconds - options.now.getTime();
  if (leftMs > 0) return { actions: { requeueAfterMs: Math.min(leftMs, LOOK_AGAIN_MS) } };
  progress.move = { ...progress.move, searchTime: options.now.toISOString() };
  find(visit, 'MovePlanned', 'Unknown', 'SearchingNodes', `searching a plan for ${describe(candidate)}`);
  const names = new Set(nodesOf(plan).map(({ node }) => node));
  const cluster = discover(visit, job, plan.cluster.devices.length, (name) => names.has(name)).cluster;
  const types = [...candidate.devices, ...cluster.devices].map(({ type }) => type);
  const costs = visit.observed.costs === undefined ? [] : costTableNames(types, job);
  return { actions: { startMoveSearch: { job, cluster: candidate, current: { plan, cluster }, costs } } };
}

/** Holds what was found against what runs. */
function judge(mover: Mover, search: SearchState & { readonly kind: 'found' }): MoveStep {
  const { visit, moves, plan, pods, measurement, candidate } = mover;
  const { plan: next, currentIterationMs = plan.prediction.iterationMs } = search;
  if (clusterDigest(next.cluster) !== clusterDigest(candidate)) {
    visit.progress.move = withoutCheckpoint(visit);
    return { actions: { forgetMoveSearch: true, requeueAfterMs: LOOK_AGAIN_MS } };
  }
  const predicted = { currentMs: currentIterationMs, nextMs: next.prediction.iterationMs };
  const gain = moveGain(measurement, predicted, restartCost(pods, measurement));
  const text = `from ${describe(plan.cluster)} to ${describe(next.cluster)}: ${gainText(gain)}`;
  if (gain.share < moves.minGainPercent / 100) {
    return reject(mover, 'GainTooSmall', `${text}; spec.moves.minGainPercent is ${moves.minGainPercent}`);
  }
  const { afterCheckpoint = measurement.checkpointStep } = visit.progress.move ?? {};
  if (measurement.checkpointStep > afterCheckpoint) return { decision: move(mover, next, text) };
  visit.progress.move = { ...visit.progress.move, afterCheckpoint };
  find(visit, 'MovePlanned', 'True', 'AwaitingCheckpoint', `after the next checkpoint the job moves ${text}`);
  return { actions: { requeueAfterMs: LOOK_AGAIN_MS } };
}

/**
 * Goes: the plan of the new attempt is in place before its pods, so that a controller that is killed in between leaves a job that
 * starts there, or, if the plan was not written yet, where it was.
 */
function move({ visit, job, pods }: Mover, next: Plan, text: string): Decision {
  const { progress, options, observed } = visit;
  progress.attempt += 1;
  progress.restartTime = options.now.toISOString();
  progress.lastFailure = undefined;
  progress.move = { moveTime: options.now.toISOString() };
  find(visit, 'MovePlanned', 'False', 'Moved', `the job moved ${text}`);
  find(visit, 'PodsReady', 'False', 'Moving', 'the pods write a checkpoint and end; new ones start on other nodes');
  return end(visit, 'Restarting', 'PodsReady', {
    children: jobChildren(observed.resource, job, next, progress.attempt, options),
    deletePods: removals(pods),
    forgetSearch: true,
    forgetMoveSearch: true,
    requeueAfterMs: 100,
  });
}

function stay(visit: Visit, reason: 'MovesOff' | 'NoBetterNodes' | 'GainTooSmall', message: string): MoveStep {
  find(visit, 'MovePlanned', 'False', reason, message);
  visit.progress.move = withoutCheckpoint(visit);
  if (reason === 'MovesOff') return STAY;
  return { actions: { forgetMoveSearch: true, requeueAfterMs: LOOK_AGAIN_MS } };
}

/** Remembers nodes that do not pay: what is left of the job only becomes less. */
function reject({ visit, candidate }: Mover, reason: 'GainTooSmall' | 'MoveSearchFailed', message: string): MoveStep {
  find(visit, 'MovePlanned', 'False', reason, message);
  visit.progress.move = { ...withoutCheckpoint(visit), rejected: clusterDigest(candidate) };
  return { actions: { forgetMoveSearch: true, requeueAfterMs: LOOK_AGAIN_MS } };
}

function withoutCheckpoint({ progress }: Visit): Visit['progress']['move'] {
  if (progress.move === undefined) return undefined;
  const { afterCheckpoint: _, ...rest } = progress.move;
  return rest;
}

/** Nodes that a message names; of more it says how many. */
const MAX_NODES = 4;

/** Such as `2 devices (P100) on a, b`. */
function describe({ devices }: ClusterDescription): string {
  const types = [...new Set(devices.map(({ type }) => type))].join(', ');
  const nodes = [...new Set(devices.map(({ node }) => node))];
  const more = nodes.length > MAX_NODES ? ` and ${nodes.length - MAX_NODES} more` : '';
  const count = `${devices.length} device${devices.length === 1 ? '' : 's'}`;
  return `${count} (${types}) on ${nodes.slice(0, MAX_NODES).join(', ')}${more}`;
}

function gainText({ currentMs, nextMs, restartSeconds, savedSeconds, share }: MoveGain): string {
  const saved = savedSeconds < 0 ? `${duration(-savedSeconds)} lost` : `${duration(savedSeconds)} saved`;
  return (
    `${milliseconds(currentMs)} an iteration become ${milliseconds(nextMs)}, ${saved} until the end ` +
    `(${Math.round(100 * share)} %) with ${duration(restartSeconds)} for the restart`
  );
}

function duration(seconds: number): string {
  if (seconds < 120) return `${Math.round(seconds)} s`;
  return seconds < 7200 ? `${Math.round(seconds / 60)} min` : `${(seconds / 3600).toFixed(1)} h`;
}
