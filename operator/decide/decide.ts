import type { V1Node, V1Pod } from '@kubernetes/client-node';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { problemLines } from '../../soap/job/problems.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/strategy/plan-file.ts';
import type { ClusterDescription } from '../../soap/cluster/cluster.ts';
import type { ConditionType, JobState, JobStatus, TrainingJobResource } from '../api/resource.ts';
import type { ClusterObjects, Discovery } from '../discovery/discover.ts';
import { discoverCluster } from '../discovery/discover.ts';
import type { Child } from './children.ts';
import { ATTEMPT_LABEL, jobChildren, jobPods, nodesOf } from './children.ts';
import type { Finding } from './conditions.ts';
import { isTrue, updatedConditions } from './conditions.ts';
import { podTrouble } from './pod-trouble.ts';

/** How a job's search stands. */
export type SearchState =
  | { readonly kind: 'none' }
  | {
      readonly kind: 'running';
      /** The best so far. */
      readonly progress?: { readonly proposals: number; readonly iterationMs: number };
    }
  /** A sentence about the model or the cluster. */
  | { readonly kind: 'failed'; readonly message: string }
  | { readonly kind: 'found'; readonly plan: Plan };

/** Everything a decision rests on. */
export interface Observed {
  readonly resource: TrainingJobResource;
  readonly nodes: readonly V1Node[];
  /** Of all namespaces. */
  readonly pods: readonly V1Pod[];
  /** What else tells of devices; none where it is not read. */
  readonly objects?: ClusterObjects;
  /** The plan in the job's ConfigMap, if it has one already. */
  readonly plan: Plan | undefined;
  readonly search: SearchState;
  /** Why the last try to create the children failed. */
  readonly applyError: string | undefined;
}

/** Something to tell the user, once. */
export interface JobEvent {
  readonly type: 'Normal' | 'Warning';
  readonly reason: string;
  readonly message: string;
}

/** What is to be done; nothing of it has been done yet. */
export interface Decision {
  readonly status: JobStatus;
  readonly events: readonly JobEvent[];
  /** Objects to apply. */
  readonly children: readonly Child[];
  /** Pods to create where they do not exist: a pod cannot be changed. */
  readonly pods: readonly Child[];
  readonly needsToken: boolean;
  /** Names of pods to delete. */
  readonly deletePods: readonly string[];
  readonly startSearch: { readonly job: TrainingJob; readonly cluster: ClusterDescription } | undefined;
  readonly requeueAfterMs: number | undefined;
}

export interface DecideOptions {
  readonly now: Date;
  readonly image: string;
}

/** Devices may come free without an event of ours. */
const WAIT_FOR_DEVICES_MS = 15_000;

/** Decides what to do for a job, from what is there; no I/O, so that a table of cases can say what it does. */
export function decide(observed: Observed, options: DecideOptions): Decision {
  return new Decider(observed, options).decide();
}

class Decider {
  readonly #observed: Observed;
  readonly #options: DecideOptions;
  readonly #findings: Partial<Record<ConditionType, Finding>> = {};
  readonly #events: JobEvent[] = [];
  #discovery: Discovery | undefined;
  #attempt: number;
  #iteration: string | undefined;
  #devices: number;

  constructor(observed: Observed, options: DecideOptions) {
    this.#observed = observed;
    this.#options = options;
    const { status } = observed.resource;
    this.#attempt = status?.attempt ?? 0;
    this.#iteration = status?.iteration;
    this.#devices = status?.devices ?? 0;
  }

  decide(): Decision {
    const { resource } = this.#observed;
    if (isTrue(resource, 'Complete')) return this.#end('Complete');
    if (isTrue(resource, 'Failed')) return this.#end('Failed');
    const parsed = parseTrainingJob(resource);
    if ('problems' in parsed) {
      this.#find('Accepted', 'False', 'InvalidSpec', problemLines(parsed.problems).join('; '));
      return this.#end('Invalid');
    }
    const { job } = parsed;
    this.#find('Accepted', 'True', 'Valid', 'the spec is valid');
    if (job.spec.suspend) {
      this.#find(
        'Suspended',
        'True',
        'SuspendRequested',
        'spec.suspend is true; set it to false to go on from the last checkpoint',
      );
      this.#find('PodsReady', 'False', 'Suspended', 'the job is suspended');
      return this.#end('Suspended', { deletePods: this.#ownPods().map(podName) });
    }
    this.#find('Suspended', 'False', 'NotSuspended', 'spec.suspend is false');
    const plan = this.#plan();
    return plan === undefined ? this.#planFirst(job) : this.#run(job, plan);
  }

  #plan(): Plan | undefined {
    const { plan, search } = this.#observed;
    return plan ?? (search.kind === 'found' ? search.plan : undefined);
  }

  #planFirst(job: TrainingJob): Decision {
    const { nodes, pods, search, objects } = this.#observed;
    if (search.kind === 'failed') {
      this.#find('PlanFound', 'False', 'SearchFailed', search.message);
      this.#find('Failed', 'True', 'SearchFailed', search.message);
      return this.#end('Failed');
    }
    this.#discovery = discoverCluster(nodes, pods, job.spec.devices, (pod) => this.#isOwn(pod), objects);
    const found = this.#discovery.cluster.devices.length;
    const { min, resource } = job.spec.devices;
    if (found < min) {
      const why = this.#discovery.skipped.length > 0 ? ` (${this.#discovery.skipped.join('; ')})` : '';
      const message = `${found} free devices of ${resource}, spec.devices.min is ${min}${why}; add nodes, free devices, or lower it`;
      this.#find('TopologyDiscovered', 'False', 'InsufficientDevices', message);
      return this.#end('WaitingForDevices', { requeueAfterMs: WAIT_FOR_DEVICES_MS });
    }
    this.#devices = found;
    this.#find(
      'TopologyDiscovered',
      'True',
      'DevicesFound',
      `${found} devices of ${resource}; every number's source is in status.topology`,
    );
    this.#find(
      'PlanFound',
      'Unknown',
      'Searching',
      `searching for up to ${job.spec.search.seconds} s${bestSoFar(search)}`,
    );
    const startSearch = search.kind === 'none' ? { job, cluster: this.#discovery.cluster } : undefined;
    return this.#end('Searching', { startSearch });
  }

  #run(job: TrainingJob, plan: Plan): Decision {
    this.#devices = plan.cluster.devices.length;
    this.#iteration = `${plan.prediction.iterationMs.toPrecision(3)} ms`;
    const speedup = (plan.baselines['data']?.iterationMs ?? plan.prediction.iterationMs) / plan.prediction.iterationMs;
    const message = `${this.#iteration} an iteration predicted, ${speedup.toFixed(2)} times as fast as data parallelism`;
    this.#find('PlanFound', 'True', 'PlanFound', message);
    const current = this.#ownPods().filter((pod) => attemptOf(pod) === this.#attempt);
    const stale = this.#ownPods()
      .filter((pod) => attemptOf(pod) !== this.#attempt)
      .map(podName);
    const wanted = nodesOf(plan).length;
    if (current.some((pod) => pod.status?.phase === 'Failed')) return this.#restart(job, current, stale);
    if (current.length === wanted && current.every((pod) => pod.status?.phase === 'Succeeded')) {
      this.#find('PodsReady', 'False', 'Finished', 'every pod has done its work');
      this.#find(
        'Complete',
        'True',
        'TrainingComplete',
        `trained in ${this.#attempt + 1} attempt${this.#attempt === 0 ? '' : 's'}`,
      );
      return this.#end('Complete', { deletePods: stale });
    }
    const state = this.#followPods(current, wanted);
    return this.#end(state, {
      deletePods: stale,
      children: jobChildren(this.#observed.resource, job, plan, this.#attempt),
      pods: jobPods(this.#observed.resource, job, plan, this.#attempt, this.#options.image),
      needsToken: true,
    });
  }

  /** A failed pod fails the attempt: its peers cannot go on without it. */
  #restart(job: TrainingJob, current: readonly V1Pod[], stale: readonly string[]): Decision {
    const failed = current.find((pod) => pod.status?.phase === 'Failed')!;
    const code = failed.status?.containerStatuses?.[0]?.state?.terminated?.exitCode;
    const what = `pod ${podName(failed)} failed${code === undefined ? '' : ` with exit code ${code}`}`;
    if (this.#attempt >= job.spec.backoffLimit) {
      const message = `${what}; ${this.#attempt + 1} attempts were made and spec.backoffLimit is ${job.spec.backoffLimit}: see the pod's log`;
      this.#find('Failed', 'True', 'BackoffLimitExceeded', message);
      this.#find('PodsReady', 'False', 'PodFailed', message);
      return this.#end('Failed', { deletePods: stale });
    }
    this.#attempt += 1;
    this.#find(
      'PodsReady',
      'False',
      'Restarting',
      `${what}; starting attempt ${this.#attempt} from the last checkpoint`,
    );
    this.#events.push({ type: 'Warning', reason: 'Restarting', message: `${what}; starting attempt ${this.#attempt}` });
    return this.#end('Starting', { deletePods: [...stale, ...current.map(podName)], requeueAfterMs: 100 });
  }

  #followPods(current: readonly V1Pod[], wanted: number): JobState {
    const { applyError } = this.#observed;
    const running = current.filter((pod) => pod.status?.phase === 'Running' || pod.status?.phase === 'Succeeded');
    if (applyError !== undefined) {
      this.#find('PodsReady', 'False', 'CreationFailed', applyError);
      return 'Starting';
    }
    if (running.length === wanted) {
      this.#find('PodsReady', 'True', 'AllRunning', `${wanted} pod${wanted === 1 ? ' is' : 's are'} running`);
      return 'Running';
    }
    const trouble = current.map(podTrouble).find((text) => text !== undefined);
    const message = `${running.length} of ${wanted} pods are running${trouble === undefined ? '' : `; ${trouble.message}`}`;
    this.#find('PodsReady', 'False', trouble?.reason ?? 'Starting', message);
    return 'Starting';
  }

  #end(state: JobState, parts: Partial<Omit<Decision, 'status' | 'events'>> = {}): Decision {
    const { resource } = this.#observed;
    const conditions = updatedConditions(resource, this.#findings, this.#options.now);
    const before = resource.status?.topology;
    const status: JobStatus = {
      state,
      observedGeneration: resource.metadata.generation ?? 0,
      attempt: this.#attempt,
      devices: this.#devices,
      ...(this.#iteration === undefined ? {} : { iteration: this.#iteration }),
      topology: {
        sources: this.#discovery?.sources ?? before?.sources ?? [],
        skipped: this.#discovery?.skipped ?? before?.skipped ?? [],
      },
      conditions,
    };
    return {
      status,
      events: [...this.#conditionEvents(), ...this.#events],
      children: [],
      pods: [],
      needsToken: false,
      deletePods: [],
      startSearch: undefined,
      requeueAfterMs: undefined,
      ...parts,
    };
  }

  /** An event for each condition whose status or reason is new. */
  #conditionEvents(): JobEvent[] {
    const before = new Map(
      (this.#observed.resource.status?.conditions ?? []).map((condition) => [condition.type, condition]),
    );
    return Object.entries(this.#findings).flatMap(([type, { status, reason, message }]): JobEvent[] => {
      const old = [...before.values()].find((condition) => condition.type === type);
      if (old?.status === status && old.reason === reason) return [];
      if (type === 'Suspended' && old === undefined && status === 'False') return [];
      const bad = (status === 'True') === (type === 'Failed') && status !== 'Unknown' && reason !== 'Finished';
      return [{ type: bad && type !== 'Suspended' ? 'Warning' : 'Normal', reason, message: message.slice(0, 1000) }];
    });
  }

  #find(type: ConditionType, status: Finding['status'], reason: string, message: string): void {
    this.#findings[type] = { status, reason, message };
  }

  #isOwn(pod: V1Pod): boolean {
    const { uid } = this.#observed.resource.metadata;
    return pod.metadata?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
  }

  #ownPods(): V1Pod[] {
    return this.#observed.pods.filter((pod) => this.#isOwn(pod));
  }
}

function bestSoFar(search: SearchState): string {
  if (search.kind !== 'running' || search.progress === undefined) return '';
  const { proposals, iterationMs } = search.progress;
  return `; best so far ${iterationMs.toPrecision(3)} ms an iteration after ${proposals} proposals`;
}

function podName(pod: V1Pod): string {
  return pod.metadata?.name ?? '';
}

function attemptOf(pod: V1Pod): number {
  return Number(pod.metadata?.labels?.[ATTEMPT_LABEL]);
}
