import type { KubeConfig, V1Node, V1Pod } from '@kubernetes/client-node';
import { GROUP, PLURAL, VERSION } from './api/crd.ts';
import type { TrainingJobResource } from './api/resource.ts';
import { apiMessage, ClusterClient } from './apply/cluster-client.ts';
import type { ControllerConfig } from './config.ts';
import { JOB_LABEL } from './decide/children.ts';
import { ControllerMetrics } from './metrics.ts';
import { Searches } from './planning/searches.ts';
import { Reconciler } from './reconcile.ts';
import { Informer } from './watch/informer.ts';
import { WorkQueue } from './watch/work-queue.ts';

/** A running controller. */
export interface Controller {
  readonly metrics: ControllerMetrics;
  stop(): Promise<void>;
}

/** Starts the controller: informers feed the queue, the queue visits jobs. */
export async function startController(
  kubeConfig: KubeConfig,
  config: ControllerConfig,
  log: (line: Readonly<Record<string, unknown>>) => void,
): Promise<Controller> {
  const client = new ClusterClient(kubeConfig);
  const searches = new Searches(config.concurrentSearches);
  const onError = (what: string) => (error: unknown) => log({ level: 'error', what, error: apiMessage(error) });

  const jobs = new Informer<TrainingJobResource>({
    config: kubeConfig,
    path: `/apis/${GROUP}/${VERSION}/${PLURAL}`,
    onChange: (job) => queue.add(`${job.metadata.namespace}/${job.metadata.name}`),
    onError: onError('watch of jobs'),
  });
  const nodes = new Informer<V1Node>({
    config: kubeConfig,
    path: '/api/v1/nodes',
    onChange: ({ metadata, status }) => {
      waitingJobs(jobs.all()).forEach((key) => queue.add(key));
      const name = metadata?.name ?? '';
      const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status === 'True';
      if (nodes.get('', name) === undefined || !ready) jobsOnNode(pods.all(), name).forEach((key) => queue.add(key));
    },
    onError: onError('watch of nodes'),
  });
  const pods = new Informer<V1Pod>({
    config: kubeConfig,
    path: '/api/v1/pods',
    onChange: ({ metadata }) => {
      const job = metadata?.labels?.[JOB_LABEL];
      if (job !== undefined) queue.add(`${metadata?.namespace}/${job}`);
    },
    onError: onError('watch of pods'),
  });

  const reconciler = new Reconciler({
    client,
    searches,
    image: config.image,
    hostPathModels: config.hostPathModels,
    placementDeadlineMs: 1000 * config.placementSeconds,
    scraperNamespace: config.scraperNamespace,
    job: (namespace, name) => jobs.get(namespace, name),
    nodes: () => nodes.all(),
    pods: () => pods.all(),
    revisit: (key) => queue.add(key),
  });
  const metrics: ControllerMetrics = new ControllerMetrics(
    () => queue.depth,
    () => searches.running,
  );
  const synced = Promise.all([jobs.synced, nodes.synced, pods.synced]);
  const queue: WorkQueue = new WorkQueue(
    async (key) => {
      await synced;
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
  );

  for (const informer of [jobs, nodes, pods]) informer.start();
  await synced;
  log({ level: 'info', what: 'ready', jobs: jobs.all().length, nodes: nodes.all().length });
  return {
    metrics,
    async stop() {
      await Promise.all([jobs.stop(), nodes.stop(), pods.stop()]);
      await queue.stop();
      await searches.stop();
    },
  };
}

/** Jobs with pods on a node that is in trouble. */
function jobsOnNode(pods: readonly V1Pod[], node: string): string[] {
  return pods.flatMap(({ metadata, spec }) => {
    const job = metadata?.labels?.[JOB_LABEL];
    return spec?.nodeName === node && job !== undefined ? [`${metadata?.namespace}/${job}`] : [];
  });
}

/** Jobs that a change of the nodes may matter to. */
function waitingJobs(jobs: readonly TrainingJobResource[]): string[] {
  return jobs
    .filter(({ status }) => status?.state === 'WaitingForDevices')
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`);
}
