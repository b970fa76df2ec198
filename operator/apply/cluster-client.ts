import type {
  KubeConfig,
  KubernetesObject,
  V1ConfigMap,
  V1ControllerRevision,
  V1Pod,
  V1Secret,
} from '@kubernetes/client-node';
import {
  ApiException,
  AppsV1Api,
  CoreV1Api,
  CustomObjectsApi,
  EventsV1Api,
  KubernetesObjectApi,
  PatchStrategy,
  setHeaderOptions,
  V1MicroTime,
} from '@kubernetes/client-node';
import { GROUP, PLURAL, VERSION } from '../api/crd.ts';
import type { JobStatus, TrainingJobResource } from '../api/resource.ts';
import type { Regarding } from './event-recorder.ts';
import { childMetadata, childNames, podZone } from '../decide/children.ts';
import { HOSTNAME_LABEL } from '../discovery/locality.ts';
import type { ApplyFailure, Child, JobEvent, PodPlacement, PodRemoval, SecretKind } from '../decide/types.ts';
import { newCertificate, newToken } from '../secrets/secrets.ts';
import { inParallel } from './in-parallel.ts';
import { messageOf } from '../../soap/message-of.ts';

/** The name under which the controller owns fields of what it applies. */
const FIELD_MANAGER = 'soapstone';

/** Longest reportingInstance of an event. Source: Kubernetes, pkg/apis/core/validation/events.go. */
const MAX_INSTANCE = 128;

/** Where Kueue keeps its Workloads. */
const WORKLOADS = { group: 'kueue.x-k8s.io', version: 'v1beta1', plural: 'workloads' };

/** The writes and single reads of the controller. */
export class ClusterClient {
  readonly core: CoreV1Api;
  readonly #apps: AppsV1Api;
  readonly #objects: KubernetesObjectApi;
  readonly #custom: CustomObjectsApi;
  readonly #events: EventsV1Api;
  readonly #replica: string;

  /** @param replica name of this controller's pod, which its events bear */
  constructor(config: KubeConfig, replica: string) {
    this.#replica = replica.slice(0, MAX_INSTANCE);
    this.core = config.makeApiClient(CoreV1Api);
    this.#apps = config.makeApiClient(AppsV1Api);
    this.#objects = KubernetesObjectApi.makeApiClient(config);
    this.#custom = config.makeApiClient(CustomObjectsApi);
    this.#events = config.makeApiClient(EventsV1Api);
  }

  /**
   * Makes an object what it should be, by server-side apply; nothing changes where it is so already.
   * @throws {NameTakenError} where somebody else has an object of its name, which stays as it is
   */
  async apply(child: Child): Promise<void> {
    const { apiVersion = '', kind = '', metadata } = child;
    const { name, namespace } = metadata;
    const found: KubernetesObject | undefined = await this.#objects
      .read({ apiVersion, kind, metadata: { name, namespace } })
      .catch(ignore(404));
    if (found !== undefined && !isOfJob(found, child)) throw new NameTakenError(found, child);
    // By its uid: not another that takes its place meanwhile.
    const uid = found?.metadata?.uid;
    const object: KubernetesObject = { ...child, metadata: { ...metadata, ...(uid !== undefined && { uid }) } };
    await this.#objects.patch(object, undefined, undefined, FIELD_MANAGER, true, PatchStrategy.ServerSideApply);
  }

  /**
   * Creates a pod unless it is there already; one of a job of the same name before it, which is to be collected, is waited for.
   * @throws {NameTakenError} where somebody else has a pod of its name, which stays as it is
   */
  async createPod(pod: Child): Promise<void> {
    const { name, namespace } = pod.metadata;
    await this.#create(pod).catch(async (error: unknown) => {
      if (!(error instanceof ApiException) || error.code !== 409) throw error;
      const found: V1Pod | undefined = await this.core.readNamespacedPod({ name, namespace }).catch(ignore(404));
      if (found === undefined) throw error;
      if (!isOfJobNamed(found, pod)) throw new NameTakenError(found, pod);
    });
  }

  async #create(object: KubernetesObject): Promise<void> {
    await this.#objects.create(object, undefined, undefined, FIELD_MANAGER);
  }

  /**
   * Gives an attempt of a job its secrets, once. Nobody reads them but the attempt's pods, which mount them. They belong to an object of
   * the attempt, with which they go: whoever may delete one Secret of a namespace may delete all.
   * @throws {NameTakenError} where somebody else has an object of the attempt's name
   */
  async ensureSecrets(resource: TrainingJobResource, kinds: readonly SecretKind[], attempt: number): Promise<void> {
    if (kinds.length === 0) return;
    const owner = await this.#ensureAttempt(resource, attempt);
    await inParallel(kinds.map((kind) => this.#ensureSecret(resource, kind, attempt, owner)));
  }

  async #ensureSecret(
    resource: TrainingJobResource,
    kind: SecretKind,
    attempt: number,
    { apiVersion, kind: ownerKind, name: ownerName, uid: ownerUid }: Regarding,
  ): Promise<void> {
    const { name: job = '', uid = '' } = resource.metadata;
    const content = kind === 'token' ? newToken() : await newCertificate([`*.${podZone(resource)}`]);
    const secret: V1Secret = { apiVersion: 'v1', kind: 'Secret', immutable: true, ...content };
    const owner = { apiVersion, kind: ownerKind, name: ownerName, uid: ownerUid, controller: true };
    const metadata = { ...childMetadata(resource, childNames[kind](job, attempt, uid)), ownerReferences: [owner] };
    await this.#create({ ...secret, metadata }).catch(ignore(409));
  }

  /** The object that stands for an attempt: a ControllerRevision, of which Kubernetes itself takes no notice. */
  async #ensureAttempt(resource: TrainingJobResource, attempt: number): Promise<Regarding> {
    const { name: job = '', namespace = '', uid = '' } = resource.metadata;
    const [apiVersion, kind] = ['apps/v1', 'ControllerRevision'];
    const name = childNames.attempt(job, attempt, uid);
    const metadata = childMetadata(resource, name);
    const body: V1ControllerRevision = { apiVersion, kind, metadata, revision: attempt, data: { attempt } };
    const made = await this.#apps
      .createNamespacedControllerRevision({ namespace, body })
      .catch(async (error: unknown) => {
        if (!(error instanceof ApiException) || error.code !== 409) throw error;
        const found = await this.#apps.readNamespacedControllerRevision({ namespace, name });
        const isOurs = found.metadata?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
        if (!isOurs) throw new NameTakenError(found, { apiVersion, kind, metadata });
        return found;
      });
    return { apiVersion, kind, name, namespace, uid: made.metadata?.uid ?? '' };
  }

  /** Deletes the object of an attempt; its secrets are collected as garbage. */
  async deleteAttempt(namespace: string, name: string): Promise<void> {
    await this.#apps.deleteNamespacedControllerRevision({ namespace, name }).catch(ignore(404));
  }

  async deletePod(namespace: string, { name, force }: PodRemoval): Promise<void> {
    const grace = force ? { gracePeriodSeconds: 0 } : {};
    await this.core.deleteNamespacedPod({ namespace, name, ...grace }).catch(ignore(404));
  }

  /**
   * Deletes the Workload of a group of pods, so that Kueue lets the pods go.
   * @throws {HeldPodsError} where the controller has no right to
   */
  async deleteWorkload(namespace: string, name: string): Promise<void> {
    await this.#custom
      .deleteNamespacedCustomObject({ ...WORKLOADS, namespace, name })
      .catch(ignore(404))
      .catch((error: unknown) => {
        throw error instanceof ApiException && error.code === 403 ? new HeldPodsError(namespace, name) : error;
      });
  }

  /**
   * Lets the scheduler have a pod: takes the gates away, of which only ours is left, and lets it select its node, if it does not yet.
   * Source: Kubernetes documentation, "Pod Scheduling Readiness", Mutable pod scheduling directives.
   */
  async ungatePod(namespace: string, { name, hostname }: PodPlacement): Promise<void> {
    const body = { spec: { schedulingGates: [], nodeSelector: { [HOSTNAME_LABEL]: hostname } } };
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    await this.core.patchNamespacedPod({ namespace, name, body }, options).catch(ignore(404));
  }

  async deleteJob({ metadata: { name = '', namespace = '', uid } }: TrainingJobResource): Promise<void> {
    const target = { group: GROUP, version: VERSION, plural: PLURAL, namespace, name };
    const body = uid === undefined ? {} : { preconditions: { uid } };
    await this.#custom.deleteNamespacedCustomObject({ ...target, body }).catch(ignore(404));
  }

  /** The text of the plan that a job was given earlier, if any. */
  async planText(resource: TrainingJobResource): Promise<string | undefined> {
    const { name = '', namespace = '', uid } = resource.metadata;
    const request = { name: childNames.plan(name), namespace };
    const found: V1ConfigMap | undefined = await this.core.readNamespacedConfigMap(request).catch(ignore(404));
    const isOurs = found?.metadata?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
    return isOurs ? found?.data?.['plan.json'] : undefined;
  }

  /**
   * Writes a status that was decided from `resource`; fields that it no longer has are removed.
   * @returns the resource as it is now, or undefined where it was changed or deleted meanwhile
   */
  async writeStatus(resource: TrainingJobResource, status: JobStatus): Promise<TrainingJobResource | undefined> {
    const { name = '', namespace = '', resourceVersion } = resource.metadata;
    const target = { group: GROUP, version: VERSION, plural: PLURAL, namespace, name };
    const removed = Object.keys(resource.status ?? {}).map((field) => [field, null]);
    const body = {
      metadata: { resourceVersion },
      status: { ...Object.fromEntries(removed), ...replaced(resource, status) },
    };
    const options = setHeaderOptions('Content-Type', PatchStrategy.MergePatch);
    const written: TrainingJobResource | undefined = await this.#custom
      .patchNamespacedCustomObjectStatus({ ...target, body }, options)
      .catch(ignore(404, 409));
    return written;
  }

  /** Writes an event. */
  async writeEvent(regarding: Regarding, { type, reason, message }: JobEvent, time: Date): Promise<void> {
    const { name, namespace } = regarding;
    await this.#events.createNamespacedEvent({
      namespace,
      body: {
        metadata: { generateName: `${name}-`, namespace },
        eventTime: new V1MicroTime(time),
        type,
        reason,
        note: message,
        action: reason,
        reportingController: 'soapstone.dev/controller',
        reportingInstance: this.#replica,
        regarding: { ...regarding },
      },
    });
  }
}

/** The status with a null for every entry of its maps that is gone: a merge patch keeps what it does not name. */
function replaced(resource: TrainingJobResource, status: JobStatus): object {
  const before: Readonly<Record<string, unknown>> = { ...resource.status };
  return Object.fromEntries(
    Object.entries(status).map(([field, value]) => {
      const old = before[field];
      if (!isMap(old) || !isMap(value)) return [field, value];
      return [field, { ...Object.fromEntries(Object.keys(old).map((key) => [key, null])), ...value }];
    }),
  );
}

function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Turns some HTTP errors into undefined. */
function ignore(...codes: readonly number[]): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof ApiException && codes.includes(error.code)) return undefined;
    throw error;
  };
}

/** An object that a job needs cannot be made: another, which is not the job's, has its name. */
class NameTakenError extends Error {
  override readonly name = 'NameTakenError';

  constructor({ metadata }: KubernetesObject, { kind, metadata: { name, namespace } }: Child) {
    const [owner] = metadata?.ownerReferences ?? [];
    const whose = owner === undefined ? 'is not of this job' : `belongs to ${owner.kind} ${owner.name}`;
    super(
      `${kind} ${namespace}/${name} is there already and ${whose}: delete or rename it, or give the job another name`,
    );
  }
}

/** Kueue holds deleted pods, and the controller may not make it let them go. */
class HeldPodsError extends Error {
  override readonly name = 'HeldPodsError';

  constructor(namespace: string, workload: string) {
    super(
      `Kueue holds pods that cannot end until Workload ${namespace}/${workload} is deleted, and the controller may not delete ` +
        'Workloads: set rbac.queues of the chart, or delete it',
    );
  }
}

/** Whether an object was made for the job that needs it, or for one of its name before it, whose object is to be collected. */
function isOfJob({ metadata }: KubernetesObject, { metadata: wanted }: Child): boolean {
  const owners = wanted.ownerReferences?.map(({ uid }) => uid) ?? [];
  const isOwned = metadata?.ownerReferences?.some(({ uid }) => owners.includes(uid)) ?? false;
  const marks = Object.entries(wanted.labels ?? {});
  return isOwned || (marks.length > 0 && marks.every(([key, value]) => metadata?.labels?.[key] === value));
}

/** Whether a pod belongs to the job that is to have one of its name, or to one of that job's name before it. */
function isOfJobNamed({ metadata }: KubernetesObject, { metadata: wanted }: Child): boolean {
  const jobs = wanted.ownerReferences ?? [];
  return (metadata?.ownerReferences ?? []).some(({ kind, name }) =>
    jobs.some((job) => job.kind === kind && job.name === name),
  );
}

/** Why an object could not be created. */
export function applyFailure(error: unknown): ApplyFailure {
  if (error instanceof NameTakenError) return { code: undefined, message: error.message, nameTaken: true };
  if (error instanceof HeldPodsError) return { code: 403, message: error.message };
  const code = error instanceof ApiException ? error.code : undefined;
  return { code, message: `an object of the job could not be created: ${apiMessage(error)}` };
}

/** What the API server said, as a sentence. */
export function apiMessage(error: unknown): string {
  if (error instanceof ApiException) {
    const body: unknown = error.body;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
    return `the API server answered ${error.code}: ${message.replaceAll('\\"', '"').slice(0, 500)}`;
  }
  return messageOf(error);
}
