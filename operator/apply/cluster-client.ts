import { randomBytes } from 'node:crypto';
import type { KubeConfig, KubernetesObject, V1ConfigMap, V1Secret } from '@kubernetes/client-node';
import {
  ApiException,
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
import type { Child } from '../decide/children.ts';
import { childMetadata, childNames } from '../decide/children.ts';
import type { JobEvent } from '../decide/decide.ts';

/** The name under which the controller owns fields of what it applies. */
const FIELD_MANAGER = 'soapstone';

/** The writes and single reads of the controller. */
export class ClusterClient {
  readonly core: CoreV1Api;
  readonly #objects: KubernetesObjectApi;
  readonly #custom: CustomObjectsApi;
  readonly #events: EventsV1Api;

  constructor(config: KubeConfig) {
    this.core = config.makeApiClient(CoreV1Api);
    this.#objects = KubernetesObjectApi.makeApiClient(config);
    this.#custom = config.makeApiClient(CustomObjectsApi);
    this.#events = config.makeApiClient(EventsV1Api);
  }

  /** Makes an object what it should be, by server-side apply; nothing changes where it is so already. */
  async apply(child: Child): Promise<void> {
    const object: KubernetesObject = child;
    await this.#objects.patch(object, undefined, undefined, FIELD_MANAGER, true, PatchStrategy.ServerSideApply);
  }

  /** Creates an object unless there is one of its name. */
  async createOnce(child: Child): Promise<void> {
    await this.#objects.create(child, undefined, undefined, FIELD_MANAGER).catch(ignore(409));
  }

  /** Gives a job a secret token, once. */
  async ensureToken(resource: TrainingJobResource): Promise<void> {
    const name = childNames.token(resource.metadata.name ?? '');
    const token = randomBytes(32).toString('hex');
    const secret: V1Secret = { apiVersion: 'v1', kind: 'Secret', type: 'Opaque', stringData: { token } };
    await this.createOnce({
      ...secret,
      metadata: childMetadata(resource, name),
    });
  }

  async deletePod(namespace: string, name: string): Promise<void> {
    await this.core.deleteNamespacedPod({ namespace, name }).catch(ignore(404));
  }

  /** The text of the plan that a job was given earlier, if any. */
  async planText(resource: TrainingJobResource): Promise<string | undefined> {
    const { name = '', namespace = '', uid } = resource.metadata;
    const request = { name: childNames.plan(name), namespace };
    const found: V1ConfigMap | undefined = await this.core.readNamespacedConfigMap(request).catch(ignore(404));
    const isOurs = found?.metadata?.ownerReferences?.some((owner) => owner.uid === uid) ?? false;
    return isOurs ? found?.data?.['plan.json'] : undefined;
  }

  async writeStatus(resource: TrainingJobResource, status: JobStatus): Promise<void> {
    const { name = '', namespace = '' } = resource.metadata;
    const target = { group: GROUP, version: VERSION, plural: PLURAL, namespace, name };
    await this.#custom.patchNamespacedCustomObjectStatus(
      { ...target, body: { status } },
      setHeaderOptions('Content-Type', PatchStrategy.MergePatch),
    );
  }

  /** Records an event on a job. */
  async recordEvent(resource: TrainingJobResource, { type, reason, message }: JobEvent): Promise<void> {
    const { name = '', namespace = '', uid = '' } = resource.metadata;
    const { apiVersion, kind } = resource;
    await this.#events.createNamespacedEvent({
      namespace,
      body: {
        metadata: { generateName: `${name}-`, namespace },
        eventTime: new V1MicroTime(),
        type,
        reason,
        note: message,
        action: reason,
        reportingController: 'soapstone.dev/controller',
        reportingInstance: FIELD_MANAGER,
        regarding: { apiVersion, kind, name, namespace, uid },
      },
    });
  }
}

/** Turns one HTTP error into undefined. */
function ignore(code: number): (error: unknown) => undefined {
  return (error) => {
    if (error instanceof ApiException && error.code === code) return undefined;
    throw error;
  };
}

/** What the API server said, as a sentence. */
export function apiMessage(error: unknown): string {
  if (error instanceof ApiException) {
    const body: unknown = error.body;
    const text = typeof body === 'string' ? body : JSON.stringify(body);
    const message = /"message":"((?:[^"\\]|\\.)*)"/.exec(text)?.[1] ?? text;
    return `the API server answered ${error.code}: ${message.replaceAll('\\"', '"').slice(0, 500)}`;
  }
  return error instanceof Error ? error.message : String(error);
}
