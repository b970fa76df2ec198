import type { KubeConfig } from '@kubernetes/client-node';
import { CostTables } from './costs/cost-tables.ts';
import { apiMessage, ClusterClient } from './apply/cluster-client.ts';
import { EventRecorder } from './apply/event-recorder.ts';
import type { ControllerConfig } from './settings.ts';
import { METRICS_PORT } from './decide/children.ts';
import { creationReason } from './decide/rules/placement.ts';
import { guardedConfig } from './leader/guarded-config.ts';
import { ControllerMetrics } from './metrics.ts';
import { fetchPolicy } from './planning/fetch-policy.ts';
import { fetchReading } from './progress/fetch-reading.ts';
import { ProgressFollower } from './progress/follower.ts';
import { runningJobs } from './progress/targets.ts';
import { Searches } from './planning/searches.ts';
import { threadMegabytes } from './planning/thread-memory.ts';
import type { ReconcilerParts } from './reconcile.ts';
import { Reconciler } from './reconcile.ts';
import type { Caches } from './watch/caches.ts';
import { readableJobs, refusedNamespaces, unknownNamespaces } from './watch/caches.ts';
import type { InformerTimes } from './watch/informer.ts';
import type { Log } from './waking-caches.ts';
import { wakingCaches } from './waking-caches.ts';
import type { VisitResult } from './watch/work-queue.ts';
import { WorkQueue } from './watch/work-queue.ts';

/** A running controller. */
export interface Controller {
  readonly metrics: ControllerMetrics;
  /** Resolves when everything that must be there has been listed once; of the watched namespaces, those that may be read. */
  readonly synced: Promise<void>;
  /** How long the API server has failed to answer; 0 while every watch stands. */
  readonly staleMs: () => number;
  /** The longest visit under way. */
  readonly longestVisitSeconds: () => number;
  /** Begins a term as leader: visits every job, with nothing left of a former term. */
  readonly lead: () => void;
  /** Ends a term as leader: a standby searches nothing and keeps no plan. */
  readonly standBy: () => void;
  stop(): Promise<void>;
}

export interface ControllerOptions {
  /** Whether this process may act; asked before each visit and each write. Always, where it is absent. */
  readonly leads?: () => boolean;
  /** Namespaces of the jobs; all where empty. */
  readonly watchNamespaces?: readonly string[];
  readonly concurrentVisits?: number;
  /** Shorter pauses of the informers, for many rounds of failures in little time. */
  readonly informerTimes?: Partial<InformerTimes>;
}

const CONCURRENT_VISITS = 2;

/** The informers ask for a namespace that is refused about as often. */
const REFUSED_MS = 5000;

/** Longest that events which wait hold up the end of the process. */
const EVENTS_STOP_MS = 2000;

/** Starts the controller: caches feed the queue, the queue visits jobs. */
export async function startController(
  kubeConfig: KubeConfig,
  config: ControllerConfig,
  log: Log,
  options: ControllerOptions = {},
): Promise<Controller> {
  const {
    leads = () => true,
    watchNamespaces = [],
    concurrentVisits = CONCURRENT_VISITS,
    informerTimes = {},
  } = options;
  const onError = (what: string, error: unknown, about: object = {}): void =>
    log({ level: 'error', what, ...about, error: apiMessage(error) });
  const revisit = (key: string): void => queue.add(key);
  const watched = { kubeConfig, namespaces: watchNamespaces, times: informerTimes };
  const waking = wakingCaches(watched, revisit, log);
  const { caches } = waking;
  const searches = createSearches(config, (result, seconds) => metrics.observeSearch(result, seconds));
  const metrics: ControllerMetrics = new ControllerMetrics({
    jobs: () => readableJobs(caches),
    queue: () => queue,
    searches,
    concurrency: concurrentVisits,
    leads,
    staleMs: () => longestStaleMs(caches),
    namespaces: () => watchedNamespaces(caches, watchNamespaces),
  });
  const client = createClient(kubeConfig, config, leads, metrics);
  const events = new EventRecorder(client.writeEvent.bind(client), (error) => onError('event', error));
  const follower = createFollower(config, caches, leads, revisit);
  const reconciler = createReconciler(config, { client, events, searches, caches, follower, metrics, log, revisit });
  const queue: WorkQueue = createQueue(concurrentVisits, { reconciler, caches, leads, metrics, onError });
  const synced = startCaches(caches, queue, log);
  if (config.progressSeconds > 0) follower.start();
  return Promise.resolve({
    metrics,
    synced,
    staleMs: () => longestStaleMs(caches),
    longestVisitSeconds: () => Math.max(0, ...queue.workingSeconds),
    lead() {
      // Again: a visit that was under way at the end of the former term may have started a search after it.
      reconciler.forgetAll();
      waking.visitAll();
    },
    standBy: () => reconciler.forgetAll(),
    async stop() {
      waking.stop();
      await follower.stop();
      await Promise.all(Object.values(caches).map((cache) => cache.stop()));
      await queue.stop();
      await searches.stop();
      await events.stop(EVENTS_STOP_MS);
    },
  });
}

function longestStaleMs(caches: Caches): number {
  return Math.max(...Object.values(caches).map((cache) => cache.staleMs));
}

/** Starts the caches, and lets the queue go once all are full: devices are free where no pod of any namespace holds them. */
function startCaches(caches: Caches, queue: WorkQueue, log: Log): Promise<void> {
  queue.hold();
  const all = Object.values(caches);
  const synced = Promise.all(all.map((cache) => cache.synced)).then(() => undefined);
  for (const cache of all) cache.start();
  void synced.then(() => {
    log({ level: 'info', what: 'ready', jobs: caches.jobs.all().length, nodes: caches.nodes.all().length });
    queue.release();
  });
  return synced;
}

function createSearches(
  { concurrentSearches, searchMegabytes }: ControllerConfig,
  onEnd: ConstructorParameters<typeof Searches>[1],
): Searches {
  const megabytes = searchMegabytes > 0 ? searchMegabytes : threadMegabytes(concurrentSearches);
  return new Searches(concurrentSearches, onEnd, megabytes);
}

/** A client whose requests are counted, and none of which is sent by a process that does not lead. */
function createClient(
  kubeConfig: KubeConfig,
  config: ControllerConfig,
  leads: () => boolean,
  metrics: ControllerMetrics,
): ClusterClient {
  const guarded = guardedConfig(kubeConfig, leads, {
    onRequest: (method) => metrics.observeRequest(method),
    onAnswer: (method, code) => metrics.observeAnswer(method, code),
  });
  return new ClusterClient(guarded, config.podName);
}

/** What the queue works with. */
interface Visiting {
  readonly reconciler: Reconciler;
  readonly caches: Caches;
  readonly leads: () => boolean;
  readonly metrics: ControllerMetrics;
  readonly onError: (what: string, error: unknown, about: object) => void;
}

function createQueue(concurrentVisits: number, { reconciler, caches, leads, metrics, onError }: Visiting): WorkQueue {
  return new WorkQueue(
    async (key) => {
      // Whoever leads visits it; this one visits every job when it comes to lead.
      if (!leads()) return {};
      // A pod that is not known need not be gone.
      if (unknownNamespaces(caches).has(namespaceOf(key))) return { requeueAfterMs: REFUSED_MS };
      return timedVisit(reconciler, key, metrics);
    },
    (key, error) => {
      metrics.observe('error', 0);
      onError('visit', error, { job: key });
    },
    concurrentVisits,
    metrics.queueObserver,
  );
}

/** What the reconciler works with; `revisit` asks for another visit. */
interface Parts extends Pick<ReconcilerParts, 'client' | 'events' | 'searches' | 'revisit'> {
  readonly caches: Caches;
  readonly follower: ProgressFollower;
  readonly metrics: ControllerMetrics;
  readonly log: Log;
}

function createReconciler(config: ControllerConfig, { caches, follower, metrics, log, ...parts }: Parts): Reconciler {
  return new Reconciler({
    ...parts,
    costs: new CostTables(parts.client.core),
    options: {
      ...config,
      placementDeadlineMs: 1000 * config.placementSeconds,
      controllerNamespace: config.podNamespace,
    },
    files: { hostPathAllowed: config.hostPathModels, fetching: fetchPolicy(config) },
    job: (namespace, name) => caches.jobs.get(namespace, name),
    nodes: () => caches.nodes.all(),
    pods: () => caches.pods.all(),
    objects: () => ({
      slices: caches.slices.all(),
      claims: caches.claims.all(),
      topologies: caches.topologies.all(),
      features: caches.features.all(),
    }),
    measurement: (key, uid, attempt) => follower.measurement(key, uid, attempt),
    onPlan: (key, plan) => metrics.observePlan(key, plan),
    onSearchProgress: (key, report) => metrics.observeSearchProgress(key, report),
    onForget: (key) => metrics.forgetSearches(key),
    onApplyFailure: (key, failure, isNew) => {
      metrics.observeApplyFailure(creationReason(failure));
      if (isNew) log({ level: 'error', what: 'apply', job: key, error: failure.message });
    },
  });
}

function createFollower(
  config: ControllerConfig,
  caches: Caches,
  leads: () => boolean,
  onNews: (key: string) => void,
): ProgressFollower {
  return new ProgressFollower({
    intervalMs: 1000 * config.progressSeconds,
    // Whoever leads looks.
    targets: () => (leads() ? runningJobs(readableJobs(caches), caches.pods.all()) : []),
    read: (address, signal) => fetchReading(address, METRICS_PORT, signal),
    onNews,
    nowMs: () => performance.now(),
  });
}

function* watchedNamespaces(
  caches: Caches,
  namespaces: readonly string[],
): Generator<readonly [namespace: string, isRefused: boolean]> {
  const refused = refusedNamespaces(caches);
  for (const namespace of namespaces.length === 0 ? [''] : namespaces) yield [namespace, refused.has(namespace)];
}

function namespaceOf(key: string): string {
  const [namespace = ''] = key.split('/');
  return namespace;
}

async function timedVisit(reconciler: Reconciler, key: string, metrics: ControllerMetrics): Promise<VisitResult> {
  const startMs = performance.now();
  const result = await reconciler.visit(key);
  const outcome = result.requeueAfterMs === undefined ? 'success' : 'requeue_after';
  metrics.observe(outcome, (performance.now() - startMs) / 1000);
  return result;
}
