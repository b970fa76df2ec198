import type {
  KubeConfig,
  KubernetesObject,
  ResourceV1ResourceClaim,
  V1Node,
  V1Pod,
  V1ResourceSlice,
} from '@kubernetes/client-node';
import { GROUP, PLURAL, VERSION } from '../api/crd.ts';
import type { TrainingJobResource } from '../api/resource.ts';
import type { TopologyResource } from '../discovery/locality.ts';
import type { NodeFeatureResource } from '../discovery/speeds.ts';
import type { InformerTimes } from './informer.ts';
import { Informer } from './informer.ts';
import { isNamespaceGone } from './namespace-gone.ts';
import { trimmedNode, trimmedPod } from './trim.ts';

/** What the controller keeps of a cluster. The last four are of APIs that need not be there. */
export interface Caches {
  readonly jobs: Cache<TrainingJobResource>;
  readonly nodes: Cache<V1Node>;
  readonly pods: Cache<V1Pod>;
  readonly slices: Cache<V1ResourceSlice>;
  readonly claims: Cache<ResourceV1ResourceClaim>;
  readonly topologies: Cache<TopologyResource & KubernetesObject>;
  readonly features: Cache<NodeFeatureResource & KubernetesObject>;
}

/** One kind's objects, of all namespaces or of some. */
export interface Cache<T extends KubernetesObject> {
  /** Resolves when everything is listed, save the namespaces that the server refuses; one at least is. */
  readonly synced: Promise<unknown>;
  /** Of the informer that has heard nothing for longest; 0 where all watches stand. One that is refused counts only where all are. */
  readonly staleMs: number;
  /** Namespaces that are to be watched, and that the server lets nobody read: their Role is gone, or they are. */
  readonly refused: readonly string[];
  /** Those of them that are not there any more, of which nothing is left to be known. */
  readonly gone: readonly string[];
  start(): void;
  stop(): Promise<void>;
  get(namespace: string, name: string): T | undefined;
  all(): T[];
}

export interface CacheCallbacks {
  readonly onJob: (job: TrainingJobResource) => void;
  readonly onNode: (node: V1Node, before: V1Node | undefined) => void;
  readonly onPod: (pod: V1Pod) => void;
  /** Anything else that tells of devices. */
  readonly onOther: () => void;
  onError(kind: string, error: unknown): void;
  onRecovered(kind: string): void;
}

/** @param namespaces of jobs and pods that are watched; all where empty */
export function createCaches(
  config: KubeConfig,
  namespaces: readonly string[],
  times: Partial<InformerTimes>,
  callbacks: CacheCallbacks,
): Caches {
  const { onJob, onNode, onPod, onOther } = callbacks;
  const common = (kind: string): Pick<Source<KubernetesObject>, 'config' | 'times' | 'onError' | 'onRecovered'> => ({
    config,
    times,
    onError: (error) => callbacks.onError(kind, error),
    onRecovered: () => callbacks.onRecovered(kind),
  });
  const other = { optional: true, onChange: onOther };
  const resource = '/apis/resource.k8s.io/v1';
  return {
    jobs: cache({ ...common('jobs'), onChange: onJob }, `/apis/${GROUP}/${VERSION}`, PLURAL, namespaces),
    nodes: cache({ ...common('nodes'), trim: trimmedNode, onChange: onNode }, '/api/v1', 'nodes'),
    pods: cache({ ...common('pods'), trim: trimmedPod, onChange: onPod }, '/api/v1', 'pods', namespaces),
    slices: cache({ ...common('slices'), ...other }, resource, 'resourceslices'),
    claims: cache({ ...common('claims'), ...other }, resource, 'resourceclaims', namespaces),
    topologies: cache({ ...common('topologies'), ...other }, '/apis/kueue.x-k8s.io/v1beta1', 'topologies'),
    features: cache({ ...common('features'), ...other }, '/apis/nfd.k8s-sigs.io/v1alpha1', 'nodefeatures'),
  };
}

/** Namespaces of which nothing is known, or only what was so once: what is missing there may be there. */
export function refusedNamespaces({ jobs, pods }: Pick<Caches, 'jobs' | 'pods'>): ReadonlySet<string> {
  return new Set([...jobs.refused, ...pods.refused]);
}

/** Those of them that may be there, so that what was known of their pods may be, too: nothing is decided for their jobs. */
export function unknownNamespaces({ jobs, pods }: Pick<Caches, 'jobs' | 'pods'>): ReadonlySet<string> {
  const gone = new Set(jobs.gone.filter((namespace) => pods.gone.includes(namespace)));
  return new Set([...refusedNamespaces({ jobs, pods })].filter((namespace) => !gone.has(namespace)));
}

/** Jobs of which what is known is so now. */
export function readableJobs({ jobs, pods }: Pick<Caches, 'jobs' | 'pods'>): TrainingJobResource[] {
  const refused = refusedNamespaces({ jobs, pods });
  return refused.size === 0 ? jobs.all() : jobs.all().filter(({ metadata }) => !refused.has(metadata.namespace ?? ''));
}

type Source<T extends KubernetesObject> = Omit<ConstructorParameters<typeof Informer<T>>[0], 'path' | 'isGone'>;

function cache<T extends KubernetesObject>(
  source: Source<T>,
  api: string,
  plural: string,
  namespaces: readonly string[] = [],
): Cache<T> {
  const { config } = source;
  const informers =
    namespaces.length === 0
      ? [new Informer<T>({ ...source, path: `${api}/${plural}` })]
      : namespaces.map((namespace) => {
          const path = `${api}/namespaces/${namespace}/${plural}`;
          return new Informer<T>({ ...source, path, isGone: (signal) => isNamespaceGone(config, namespace, signal) });
        });
  return {
    synced: Promise.all([
      ...informers.map(({ settled }) => settled),
      Promise.any(informers.map(({ synced }) => synced)),
    ]),
    get staleMs() {
      const heard = informers.filter(({ isRefused }) => !isRefused);
      return (heard.length > 0 ? heard : informers).reduce((most, { staleMs }) => Math.max(most, staleMs), 0);
    },
    get refused() {
      return namespaces.filter((_, i) => informers[i]?.isRefused === true);
    },
    get gone() {
      return namespaces.filter((_, i) => informers[i]?.isGone === true);
    },
    start: () => informers.forEach((informer) => informer.start()),
    stop: async () => {
      await Promise.all(informers.map((informer) => informer.stop()));
    },
    get: (namespace, name) =>
      informers.map((informer) => informer.get(namespace, name)).find((each) => each !== undefined),
    all: () => informers.flatMap((informer) => informer.all()),
  };
}
