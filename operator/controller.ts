import type { KubeConfig, V1Node } from '@kubernetes/client-node';
import type { TrainingJobResource } from './api/resource.ts';
import { CostTables } from './costs/cost-tables.ts';
import { apiMessage, ClusterClient } from './apply/cluster-client.ts';
import { EventRecorder } from './apply/event-recorder.ts';
import type { ControllerConfig } from './config.ts';
import { JOB_LABEL, METRICS_PORT } from './decide/children.ts';
import { nodeFingerprint } from './discovery/node-change.ts';
import { guardedConfig } from './leader/guarded-config.ts';
import { ControllerMetrics } from './metrics.ts';
import { fetchPolicy } from './planning/fetch-policy.ts';
import { fetchReading } from './progress/fetch-reading.ts';
import { ProgressFollower } from './progress/follower.ts';
import { runningJobs } from './progress/targets.ts';
import { Searches } from './planning/searches.ts';
import { Reconciler } from './reconcile.ts';
import type { Caches } from './watch/caches.ts';
import type { InformerTimes } from './watch/informer.ts';
import { createCaches } from './watch/caches.ts';
import { WorkQueue } from './watch/work-queue.ts';

/** A running controller. */
export interface Controller {
  readonly metrics: ControllerMetrics;
  /** Resolves when everything that must be there has been listed once. */
  readonly synced: Promise<void>;
  /** How long the API server has failed to answer; 0 while every watch stands. */
  readonly staleMs: () => number;
  /** The longest visit under way. */
  readonly longestVisitSeconds: () => number;
  /** Visits every job, as after leadership was gained. */
  readonly visitAll: () => void;
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

type Log = (line: Readonly<Record<string, unknown>>) => void;

const CONCURRENT_VISITS = 2;

/** Changes of nodes wake waiting jobs together, so many at a time as come within this. */
const WAKE_AFTER_MS = 1000;

/** Longest that events which wait hold up the end of the process. */
const EVENTS_STOP_MS = 2000;

/** Starts the controller: caches feed the queue, the queue visits jobs. */
export async function startController(
  kubeConfig: KubeConfig,
  config: ControllerConfig,
  log: Log,
  {
    leads = () => true,
    watchNamespaces = [],
    concurrentVisits = CONCURRENT_VISITS,
    informerTimes = {},
  }: ControllerOptions = {},
): Promise<Controller> {
  const onError = (what: string, error: unknown): void => log({ level: 'error', what, error: apiMessage(error) });
  const visitAll = (): void => caches.jobs.all().forEach((job) => queue.add(keyOf(job)));
  const wake = waker(() => waitingJobs(caches.jobs.all()).forEach((key) => queue.add(key)));
  const caches: Caches = createCaches(kubeConfig, watchNamespaces, informerTimes, {
    onJob: (job) => queue.add(keyOf(job)),
    onNode: (node, before) => {
      if (!changed(node, before, caches)) return;
      wake.soon();
      jobsOnNode(caches, node.metadata?.name ?? '').forEach((key) => queue.add(key));
    },
    onPod: ({ metadata }) => {
      const job = metadata?.labels?.[JOB_LABEL];
      if (job !== undefined) queue.add(`${metadata?.namespace}/${job}`);
    },
    onOther: () => wake.soon(),
    onError: (kind, error) => onError(`watch of ${kind}`, error),
    onRecovered: (kind) => {
      log({ level: 'info', what: `watch of ${kind} stands again` });
      visitAll();
    },
  });
  const searches: Searches = new Searches(config.concurrentSearches, (result, seconds) =>
    metrics.observeSearch(result, seconds),
  );
  const metrics: ControllerMetrics = new ControllerMetrics({
    jobs: () => caches.jobs.all(),
    queue: {
      get depth() {
        return queue.depth;
      },
      get active() {
        return queue.active;
      },
      get workingSeconds() {
        return queue.workingSeconds;
      },
    },
    searches,
    concurrency: concurrentVisits,
    leads,
    staleMs: () => longestSilenceMs(),
  });
  const guarded = guardedConfig(kubeConfig, leads, {
    onRequest: (method) => metrics.observeRequest(method),
    onAnswer: (method, code) => metrics.observeAnswer(method, code),
  });
  const client = new ClusterClient(guarded);
  const events = new EventRecorder(client.writeEvent.bind(client), (error) => onError('event', error));
  const reconciler = new Reconciler({
    client,
    events,
    searches,
    costs: new CostTables(client.core),
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
    revisit: (key) => queue.add(key),
    onPlan: (key, plan) => metrics.observePlan(key, plan),
    onSearchProgress: (key, report) => metrics.observeSearchProgress(key, report),
  });
  const follower: ProgressFollower = new ProgressFollower({
    intervalMs: 1000 * config.progressSeconds,
    // Whoever leads looks.
    targets: () => (leads() ? runningJobs(caches.jobs.all(), caches.pods.all()) : []),
    read: (address, signal) => fetchReading(address, METRICS_PORT, signal),
    onNews: (key) => queue.add(key),
    nowMs: () => performance.now(),
  });
  const all = Object.values(caches);
  const longestSilenceMs = (): number => Math.max(...all.map(({ staleMs }) => staleMs));
  const synced = Promise.all(all.map((cache) => cache.synced)).then(() => undefined);
  const queue: WorkQueue = new WorkQueue(
    async (key) => {
      await synced;
      // Whoever leads visits it; this one visits every job when it comes to lead.
      if (!leads()) return {};
      const startMs = performance.now();
      const result = await reconciler.visit(key);
      const outcome = result.requeueAfterMs === undefined ? 'success' : 'requeue_after';
      metrics.observe(outcome, (performance.now() - startMs) / 1000);
      return result;
    },
    (key, error) => {
      metrics.observe('error', 0);
      log({ level: 'error', what: 'visit', job: key, error: apiMessage(error) });
    },
    concurrentVisits,
    metrics.queueObserver,
  );
  for (const cache of all) cache.start();
  if (config.progressSeconds > 0) follower.start();
  void synced.then(() =>
    log({ level: 'info', what: 'ready', jobs: caches.jobs.all().length, nodes: caches.nodes.all().length }),
  );
  return Promise.resolve({
    metrics,
    synced,
    staleMs: longestSilenceMs,
    longestVisitSeconds: () => Math.max(0, ...queue.workingSeconds),
    visitAll,
    async stop() {
      wake.stop();
      await follower.stop();
      await Promise.all(all.map((cache) => cache.stop()));
      await queue.stop();
      await searches.stop();
      await events.stop(EVENTS_STOP_MS);
    },
  });
}

function keyOf({ metadata }: TrainingJobResource): string {
  return `${metadata.namespace}/${metadata.name}`;
}

/** Runs something a while after it was asked for, once for all that ask meanwhile. */
function waker(run: () => void): { soon(): void; stop(): void } {
  let timer: NodeJS.Timeout | undefined;
  return {
    soon: () => {
      timer ??= setTimeout(() => {
        timer = undefined;
        run();
      }, WAKE_AFTER_MS);
    },
    stop: () => clearTimeout(timer),
  };
}

/** Whether anything that a job may look at is new about a node, or it is gone. */
function changed(node: V1Node, before: V1Node | undefined, { nodes, jobs, topologies }: Caches): boolean {
  if (before === undefined || nodes.get('', node.metadata?.name ?? '') === undefined) return true;
  const keys = new Set([
    ...jobs.all().flatMap(({ spec }) => selectorKeys(spec)),
    ...topologies.all().flatMap(({ spec }) => (spec?.levels ?? []).map(({ nodeLabel = '' }) => nodeLabel)),
  ]);
  return nodeFingerprint(node, keys) !== nodeFingerprint(before, keys);
}

/** Of a spec that is not validated yet. */
function selectorKeys(spec: unknown): string[] {
  const { devices }: { devices?: unknown } = Object(spec);
  const { nodeSelector }: { nodeSelector?: unknown } = Object(devices);
  return Object.keys(Object(nodeSelector));
}

function jobsOnNode({ pods }: Caches, node: string): string[] {
  return pods.all().flatMap(({ metadata, spec }) => {
    const job = metadata?.labels?.[JOB_LABEL];
    return spec?.nodeName === node && job !== undefined ? [`${metadata?.namespace}/${job}`] : [];
  });
}

/** Jobs that a change of the nodes may matter to: those that wait for some, and those that may move to better ones. */
function waitingJobs(jobs: readonly TrainingJobResource[]): string[] {
  return jobs
    .filter(({ spec, status }) => {
      const { moves }: { moves?: unknown } = Object(spec);
      return status?.state === 'WaitingForDevices' || (status?.state === 'Running' && moves !== undefined);
    })
    .map(keyOf);
}
