import type { V1Pod, V1ResourceRequirements } from '@kubernetes/client-node';
import type { ProfileOrder } from '../../soap/job/handoff.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { TrainingJobResource } from '../api/resource.ts';
import { subjectDigest, tableName } from './table-names.ts';
import { HOSTNAME_LABEL } from '../discovery/locality.ts';
import { childMetadata, childNames, MODEL_LABEL, PROFILE_LABEL } from './children.ts';
import type { Child } from './types.ts';
import { CONTAINER_SECURITY, MOUNTS, POD_SECURITY } from './pods.ts';
import { queueLabels } from './queue.ts';
import { mergeTemplate, podParts, workerContainer } from './template.ts';

/** Splits into more parts than these are interpolated: their number grows faster than what they tell. */
const MAX_PARTS = 16;

/** Starting the image's program and reading the model, beside measuring. */
const START_SECONDS = 60;

/** Where a type of device is measured, and for how long. */
export interface ProfileSpot {
  readonly deviceType: string;
  /** Of a node that has such a device free. */
  readonly hostname: string;
  /** Devices that the job may get, and those of one node. */
  readonly devices: number;
  readonly devicesPerNode: number;
  readonly model: string;
  readonly image: string;
  readonly seconds: number;
}

/** The name of the pod that measures a type of device for a job. */
export function profilePodName(job: TrainingJob, deviceType: string): string {
  return childNames.profilePod(job.metadata.name, subjectDigest({ deviceType, provider: job.spec.training.kernels }));
}

/** How long a pod may take from its start to its end. */
export function profileDeadlineSeconds(seconds: number): number {
  return seconds + START_SECONDS;
}

/**
 * A pod that measures a job's model on one device and writes that to its log. It has the image, variables and resources of the
 * runtime's container, but one device, no token, and no way to write to storage.
 */
export function profilePod(resource: TrainingJobResource, job: TrainingJob, spot: ProfileSpot): Child {
  const name = profilePodName(job, spot.deviceType);
  const common = childMetadata(resource, name);
  const template = job.spec.template ?? {};
  const { image, imagePullPolicy, env, envFrom, resources } = workerContainer(template);
  const table = tableName({ deviceType: spot.deviceType, provider: job.spec.training.kernels });
  const base: V1Pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: {
      ...common,
      labels: { ...queueLabels(resource), ...common.labels, [PROFILE_LABEL]: table, [MODEL_LABEL]: spot.model },
    },
    spec: podSpec(job, spot),
  };
  const container = { name: 'profile', image, imagePullPolicy, env, envFrom, resources };
  const given = Object.fromEntries(Object.entries(container).filter(([, value]) => value !== undefined));
  const spec = { ...podParts(template), containers: [given] };
  const merged = mergeTemplate(base, { ...template, spec });
  return withOneDevice(
    { ...merged, metadata: { ...merged.metadata, name, namespace: common.namespace } },
    job.spec.devices.resource,
  );
}

function podSpec(job: TrainingJob, spot: ProfileSpot): NonNullable<V1Pod['spec']> {
  const isFetched = 'url' in job.spec.model;
  return {
    restartPolicy: 'Never',
    activeDeadlineSeconds: profileDeadlineSeconds(spot.seconds),
    nodeSelector: { ...job.spec.devices.nodeSelector, [HOSTNAME_LABEL]: spot.hostname },
    tolerations: job.spec.devices.tolerations.map((toleration) => ({ ...toleration })),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: POD_SECURITY,
    containers: [
      {
        name: 'profile',
        image: spot.image,
        command: ['soapstone', 'measure'],
        env: [
          { name: 'SOAPSTONE_STORAGE', value: `${MOUNTS}/storage` },
          { name: 'SOAPSTONE_MEASURE', value: JSON.stringify(orderOf(job, spot)) },
          ...(isFetched ? [{ name: 'SOAPSTONE_CACHE', value: `${MOUNTS}/cache` }] : []),
        ],
        securityContext: CONTAINER_SECURITY,
        // What it says last tells why it failed, without a right to read its log.
        terminationMessagePolicy: 'FallbackToLogsOnError',
        volumeMounts: [
          { name: 'storage', mountPath: `${MOUNTS}/storage`, readOnly: true },
          ...(isFetched ? [{ name: 'cache', mountPath: `${MOUNTS}/cache` }] : []),
        ],
      },
    ],
    volumes: [
      { name: 'storage', ...(job.spec.storage ?? { emptyDir: {} }) },
      ...(isFetched ? [{ name: 'cache', emptyDir: {} }] : []),
    ],
  };
}

/** The job goes along without what only its own pods need: a variable has not room for everything. */
function orderOf(job: TrainingJob, { deviceType, model, devices, devicesPerNode, seconds }: ProfileSpot): ProfileOrder {
  const { name, namespace } = job.metadata;
  const { template: _, ...spec } = job.spec;
  return {
    job: { ...job, metadata: { name, ...(namespace !== undefined && { namespace }) }, spec },
    deviceType,
    model,
    devices: Math.min(MAX_PARTS, devices),
    devicesPerNode,
    seconds,
  };
}

/** Whatever resources a template gives to the runtime's container, this pod has one device. */
function withOneDevice(pod: Child & V1Pod, resource: string): Child & V1Pod {
  const [container, ...others] = pod.spec?.containers ?? [];
  if (container === undefined || pod.spec === undefined) return pod;
  const { requests, limits, ...rest }: V1ResourceRequirements = container.resources ?? {};
  const { [resource]: _, ...otherRequests } = requests ?? {};
  const resources = { ...rest, requests: otherRequests, limits: { ...limits, [resource]: '1' } };
  const spec = { ...pod.spec, containers: [{ ...container, resources }, ...others] };
  return { ...pod, spec };
}
