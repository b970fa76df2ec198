import type { V1Node } from '@kubernetes/client-node';
import type { TrainingJob } from '../../../soap/job/training-job.ts';
import type { Plan } from '../../../soap/plan/plan.ts';
import type { Discovery } from '../../discovery/discover.ts';
import { discoverCluster } from '../../discovery/discover.ts';
import { milliseconds } from '../../../soap/measurement/blame.ts';
import { nodesOf } from '../children.ts';
import type { Decision, SearchState } from '../types.ts';
import type { Visit } from '../visit.ts';
import { end, find, isOwn } from '../visit.ts';
import { inspectFirst, inspector, needsInspection } from './inspection.ts';
import { failed } from './lifetime.ts';
import { unplacedNodes } from './replan.ts';
import { costTableNames } from '../table-names.ts';
import { profileFirst, searchMessage } from './profiling.ts';

/** Devices may come free without an event of ours. */
const WAIT_FOR_DEVICES_MS = 15_000;
/** More devices than any job may ask for: everything that is free. */
const ALL_DEVICES = 1_000_000;

/** Discovers devices and searches, until there is a plan. */
export function planFirst(visit: Visit, job: TrainingJob): Decision {
  const { search } = visit.observed;
  const discovery = offer(visit, job);
  visit.discovery = discovery;
  const found = discovery.cluster.devices.length;
  const { min, resource } = job.spec.devices;
  if (found < min && visit.progress.admitted !== undefined) {
    // The nodes that the queue had are taken or gone since; it admits the next pods anew.
    visit.progress.admitted = undefined;
    return planFirst(visit, job);
  }
  const isDue = search.kind === 'failed' && (search.retryAtMs ?? Infinity) <= visit.options.now.getTime();
  if (search.kind === 'failed' && !isDue) return searchFailed(visit, search, found);
  const begins = search.kind === 'none' || isDue;
  if (found < min) {
    const why = discovery.skipped.length > 0 ? ` (${discovery.skipped.join('; ')})` : '';
    const offered = found > 0 || discovery.skipped.some((line) => !line.endsWith(`: no allocatable ${resource}`));
    const cure = offered ? 'add nodes, free devices, or lower it' : 'is the device plugin running?';
    const message = `${found} free devices of ${resource}, spec.devices.min is ${min}; ${cure}${why}`;
    find(visit, 'TopologyDiscovered', 'False', offered ? 'InsufficientDevices' : 'NoDevices', message);
    return end(visit, 'WaitingForDevices', 'TopologyDiscovered', { requeueAfterMs: WAIT_FOR_DEVICES_MS });
  }
  visit.progress.devices = found;
  const defaulted = discovery.sources.filter((line) => line.includes(': default'));
  const message = `${found} devices of ${resource}; every number's source is in status.topology`;
  if (defaulted.length === 0) find(visit, 'TopologyDiscovered', 'True', 'DevicesFound', message);
  else find(visit, 'TopologyDiscovered', 'True', 'NumbersDefaulted', `${message}; guessed: ${defaulted.join('; ')}`);
  if (begins) {
    const inspecting = inspectFirst(visit, job);
    if (inspecting !== undefined) return inspecting;
    const profiling = profileFirst(visit, job);
    if (profiling !== undefined) return profiling;
  }
  // Whether the model is there now is not known yet: the condition stays.
  const isUnread = isDue || (search.kind === 'running' && search.unread === true);
  if (!isUnread) find(visit, 'PlanFound', 'Unknown', 'Searching', `${searchMessage(job)}${bestSoFar(search)}`);
  const reader = needsInspection(visit, job) ? inspector(visit, job) : undefined;
  const { cluster } = discovery;
  const types = cluster.devices.map(({ type }) => type);
  const costs = visit.observed.costs === undefined ? [] : costTableNames(types, job);
  const startSearch = begins ? { job, cluster, inspector: reader, costs } : undefined;
  return end(visit, 'Searching', 'PlanFound', { startSearch });
}

function bestSoFar(search: SearchState): string {
  if (search.kind !== 'running' || search.progress === undefined) return '';
  const { proposals, iterationMs } = search.progress;
  return `; best so far ${milliseconds(iterationMs)} an iteration after ${proposals} proposals`;
}

/** The first plan of a job fails it; a later one waits for nodes that may come back. */
function searchFailed(
  visit: Visit,
  { message, infeasible = false, retryAtMs }: Extract<SearchState, { kind: 'failed' }>,
  found: number,
): Decision {
  if (retryAtMs !== undefined) {
    const again = new Date(retryAtMs).toISOString().replace(/\.\d+Z$/, 'Z');
    find(visit, 'PlanFound', 'False', 'ModelUnavailable', `${message}; it is looked for again at ${again}`);
    return end(visit, 'Searching', 'PlanFound', { requeueAfterMs: retryAtMs - visit.options.now.getTime() });
  }
  const reason = infeasible ? 'InfeasibleMemory' : 'SearchFailed';
  find(visit, 'PlanFound', 'False', reason, message);
  if (infeasible && visit.progress.attempt > 0) {
    const forgetSearch = found !== visit.progress.devices;
    return end(visit, 'WaitingForDevices', 'PlanFound', { forgetSearch, requeueAfterMs: WAIT_FOR_DEVICES_MS });
  }
  find(visit, 'Failed', 'True', reason, message);
  return failed(visit);
}

/** A plan that the job gives is kept, until its nodes are free. */
export function awaitPlanNodes(visit: Visit, obstacle: string): Decision {
  const message = `${obstacle}; free it, or give a plan for other nodes`;
  find(visit, 'TopologyDiscovered', 'False', 'PlanNodesMissing', message);
  return end(visit, 'WaitingForDevices', 'TopologyDiscovered', { requeueAfterMs: WAIT_FOR_DEVICES_MS });
}

/** Why a plan cannot be started on the nodes as they are, or undefined where it can. */
export function planObstacle(visit: Visit, job: TrainingJob, plan: Plan): string | undefined {
  const wanted = new Map(nodesOf(plan).map(({ node, devices }) => [node, devices]));
  // A plan that the job gives says by itself what it is for.
  if (job.spec.plan === undefined) {
    const { min, max } = job.spec.devices;
    const count = plan.cluster.devices.length;
    if (count < min || count > max) return `the plan is for ${count} devices; spec.devices asks for ${min} to ${max}`;
    const avoided = avoidedNodes(visit, job);
    const node = [...wanted.keys()].find((name) => avoided.has(name));
    if (node !== undefined) return `the plan needs node ${node}, which did not take a pod of the job before`;
  }
  const { cluster, skipped } = discover(visit, job, ALL_DEVICES, (name) => wanted.has(name));
  const free = new Map<string, number>();
  for (const { node } of cluster.devices) free.set(node, (free.get(node) ?? 0) + 1);
  for (const [node, devices] of wanted) {
    const there = free.get(node) ?? 0;
    if (there >= devices) continue;
    const why = skipped.find((line) => line.startsWith(`${node}:`)) ?? `node ${node} has ${there} free devices`;
    return `the plan needs ${devices} devices of node ${node}; ${why}`;
  }
  return undefined;
}

/** What a plan may be made for: nodes that did not take the job's pods lately are left out where the others suffice. */
export function offer(visit: Visit, job: TrainingJob): Discovery {
  const { max } = job.spec.devices;
  const avoided = avoidedNodes(visit, job);
  if (avoided.size === 0) return discover(visit, job, max);
  const { skipped, ...others } = discoverWithout(visit, job, avoided);
  const lines = [...avoided].map((name) => `${name}: did not take a pod of the job within the last half hour`);
  return { ...others, skipped: [...skipped, ...lines] };
}

/** Nodes that plans are to leave out: none where the others do not suffice. */
function avoidedNodes(visit: Visit, job: TrainingJob): ReadonlySet<string> {
  const names = unplacedNodes(visit);
  if (names.size === 0) return names;
  const { cluster } = discoverWithout(visit, job, names);
  return cluster.devices.length >= job.spec.devices.min ? names : new Set();
}

/** What nodes offer the job now, but for some. */
function discoverWithout(visit: Visit, job: TrainingJob, names: ReadonlySet<string>): Discovery {
  const nodes = visit.observed.nodes.filter(({ metadata }) => !names.has(metadata?.name ?? ''));
  return discover({ ...visit, observed: { ...visit.observed, nodes } }, job, job.spec.devices.max);
}

/** What the nodes offer the job now; its own devices count as free. `isMeant` tells which nodes, by name: all that they have. */
export function discover(
  { observed, progress }: Visit,
  job: TrainingJob,
  max: number,
  isMeant?: (name: string) => boolean,
): Discovery {
  const nodes = observed.nodes.filter(
    (node) => isAdmitted(node, progress.admitted) && (isMeant?.(node.metadata?.name ?? '') ?? true),
  );
  const { devices } = job.spec;
  const settings = { ...devices, min: isMeant === undefined ? devices.min : max, max };
  return discoverCluster(nodes, observed.pods, settings, (pod) => isOwn(observed.resource, pod), observed.objects);
}

/** Whether a queue that admitted the pods to certain nodes means this one too. */
export function isAdmitted(node: V1Node, labels: Readonly<Record<string, string>> = {}): boolean {
  return Object.entries(labels).every(([key, value]) => node.metadata?.labels?.[key] === value);
}
