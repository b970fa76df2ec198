import type { KubeConfig, V1Node } from '@kubernetes/client-node';
import type { TrainingJobResource } from './api/resource.ts';
import { apiMessage } from './apply/cluster-client.ts';
import { JOB_LABEL } from './decide/children.ts';
import { nodeFingerprint } from './discovery/node-change.ts';
import type { Caches } from './watch/caches.ts';
import { createCaches } from './watch/caches.ts';
import type { InformerTimes } from './watch/informer.ts';

/** Takes a line of the log: `level`, `what` happened, and about what. */
export type Log = (line: Readonly<Record<string, unknown>>) => void;

/** What is watched. */
export interface WatchOptions {
  readonly kubeConfig: KubeConfig;
  /** Of the jobs; all where empty. */
  readonly namespaces: readonly string[];
  readonly times: Partial<InformerTimes>;
}

/** What a controller keeps of a cluster, whose changes ask for visits. */
export interface WakingCaches {
  readonly caches: Caches;
  /** Asks for a visit of every job. */
  readonly visitAll: () => void;
  /** Wakes no more jobs that wait. */
  readonly stop: () => void;
}

/** Changes of nodes wake waiting jobs together, so many at a time as come within this. */
const WAKE_AFTER_MS = 1000;

/** Caches of a cluster, not started yet. @param visit asks for a visit of the jobs that a change may matter to, by their keys */
export function wakingCaches(
  { kubeConfig, namespaces, times }: WatchOptions,
  visit: (key: string) => void,
  log: Log,
): WakingCaches {
  const visitAll = (): void => caches.jobs.all().forEach((job) => visit(keyOf(job)));
  const wake = waker(() => waitingJobs(caches.jobs.all()).forEach((key) => visit(key)));
  const caches: Caches = createCaches(kubeConfig, namespaces, times, {
    onJob: (job) => visit(keyOf(job)),
    onNode: (node, before) => {
      if (!changed(node, before, caches)) return;
      wake.soon();
      jobsOnNode(caches, node.metadata?.name ?? '').forEach((key) => visit(key));
    },
    onPod: ({ metadata }) => {
      const job = metadata?.labels?.[JOB_LABEL];
      if (job !== undefined) visit(`${metadata?.namespace}/${job}`);
    },
    onOther: () => wake.soon(),
    onError: (kind, error) => log({ level: 'error', what: `watch of ${kind}`, error: apiMessage(error) }),
    onRecovered: (kind) => {
      log({ level: 'info', what: `watch of ${kind} stands again` });
      visitAll();
    },
  });
  return { caches, visitAll, stop: () => wake.stop() };
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
