import type { V1Container, V1Node, V1Pod, V1PodSecurityContext, V1SecurityContext } from '@kubernetes/client-node';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { TrainingJobResource } from '../api/resource.ts';
import { HOSTNAME_LABEL, hostnameOf } from '../discovery/locality.ts';
import { ATTEMPT_LABEL, childMetadata, childNames, METRICS_PORT, nodesOf, SPEC_LABEL } from './children.ts';
import { podDigest } from './pod-digest.ts';
import type { Child } from './types.ts';
import type { QueueMarks } from './queue.ts';
import { queueMarks } from './queue.ts';
import { mergeTemplate } from './template.ts';

/** All mounts of the project's pods are below it. */
export const MOUNTS = '/var/run/soapstone';

/** What the restricted Pod Security Standard asks of a pod. Source: Kubernetes documentation, "Pod Security Standards". */
export const POD_SECURITY: V1PodSecurityContext = {
  runAsNonRoot: true,
  fsGroupChangePolicy: 'OnRootMismatch',
  seccompProfile: { type: 'RuntimeDefault' },
};

/** The same of a container, with a root that is read only. */
export const CONTAINER_SECURITY: V1SecurityContext = {
  allowPrivilegeEscalation: false,
  capabilities: { drop: ['ALL'] },
  readOnlyRootFilesystem: true,
};

/** A pod that is told to end writes a checkpoint first: 10 GB take this long at 100 MB/s. spec.template may say otherwise. */
const CHECKPOINT_GRACE_SECONDS = 120;

/** One pod for each node of the plan, with the parts of spec.template merged in. */
export function jobPods(
  resource: TrainingJobResource,
  job: TrainingJob,
  plan: Plan,
  attempt: number,
  { image, nodes: existing }: { readonly image: string; readonly nodes: readonly V1Node[] },
): Child[] {
  const name = job.metadata.name;
  const nodes = nodesOf(plan);
  const marks = queueMarks(resource, attempt, nodes.length);
  const { uid = '' } = resource.metadata;
  const digest = podDigest(job.spec);
  return nodes.map(({ node, devices }, index): Child => {
    const podName = childNames.pod(name, attempt, index);
    const common = childMetadata(resource, podName);
    const labels = { ...common.labels, [ATTEMPT_LABEL]: String(attempt), [SPEC_LABEL]: digest };
    const base: V1Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { ...common, labels: { ...marks.labels, ...labels }, annotations: { ...marks.annotations } },
      spec: podSpec(job, { podName, node, hostname: hostnameOf(node, existing), devices, attempt, uid, image, marks }),
    };
    const merged = withLastWords(mergeTemplate(base, job.spec.template ?? {}));
    return { ...merged, metadata: { ...merged.metadata, name: podName, namespace: common.namespace } };
  });
}

/** Why a container failed then stands in the status of its pod, and in the job's, also of those that spec.template brings. */
function withLastWords(pod: V1Pod): V1Pod {
  if (pod.spec === undefined) return pod;
  const told = (container: V1Container): V1Container => ({
    terminationMessagePolicy: 'FallbackToLogsOnError',
    ...container,
  });
  const { containers, initContainers } = pod.spec;
  const spec = {
    ...pod.spec,
    containers: containers.map(told),
    ...(initContainers && { initContainers: initContainers.map(told) }),
  };
  return { ...pod, spec };
}

interface PodParts {
  readonly podName: string;
  readonly node: string;
  /** That the pod selects its node by. */
  readonly hostname: string;
  readonly devices: number;
  readonly attempt: number;
  /** Of the job. */
  readonly uid: string;
  readonly image: string;
  readonly marks: QueueMarks;
}

function podSpec(job: TrainingJob, parts: PodParts): NonNullable<V1Pod['spec']> {
  const { podName, node, hostname, devices, attempt, uid, image, marks } = parts;
  const name = job.metadata.name;
  const isFetched = 'url' in job.spec.model;
  const checkpoints = job.spec.checkpoint?.storage;
  return {
    hostname: podName,
    subdomain: childNames.service(name),
    restartPolicy: 'Never',
    nodeSelector: { ...job.spec.devices.nodeSelector, ...(!marks.selectLater && { [HOSTNAME_LABEL]: hostname }) },
    tolerations: job.spec.devices.tolerations.map((toleration) => ({ ...toleration })),
    ...(marks.schedulingGates.length > 0 && { schedulingGates: [...marks.schedulingGates] }),
    ...(job.spec.checkpoint && { terminationGracePeriodSeconds: CHECKPOINT_GRACE_SECONDS }),
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    securityContext: POD_SECURITY,
    containers: [
      {
        name: 'worker',
        image,
        command: ['soapstone', 'worker'],
        env: [
          ...podEnvironment(node, attempt, job.spec),
          ...(checkpoints ? [{ name: 'SOAPSTONE_CHECKPOINTS', value: `${MOUNTS}/checkpoints` }] : []),
        ],
        ports: [{ name: 'metrics', containerPort: METRICS_PORT }],
        resources: { limits: { [job.spec.devices.resource]: String(devices) } },
        securityContext: CONTAINER_SECURITY,
        readinessProbe: { httpGet: { path: '/healthz', port: METRICS_PORT }, periodSeconds: 5 },
        volumeMounts: [
          { name: 'plan', mountPath: `${MOUNTS}/plan`, readOnly: true },
          { name: 'token', mountPath: `${MOUNTS}/token`, readOnly: true },
          { name: 'storage', mountPath: `${MOUNTS}/storage` },
          ...(isFetched ? [{ name: 'cache', mountPath: `${MOUNTS}/cache` }] : []),
          ...(job.spec.tls ? [{ name: 'tls', mountPath: `${MOUNTS}/tls`, readOnly: true }] : []),
          ...(checkpoints ? [{ name: 'checkpoints', mountPath: `${MOUNTS}/checkpoints` }] : []),
        ],
      },
    ],
    volumes: [
      { name: 'plan', configMap: { name: childNames.plan(name) } },
      secretVolume('token', childNames.token(name, attempt, uid)),
      ...(job.spec.tls ? [secretVolume('tls', childNames.certificate(name, attempt, uid))] : []),
      ...(isFetched ? [{ name: 'cache', emptyDir: {} }] : []),
      { name: 'storage', ...(job.spec.storage ?? { emptyDir: {} }) },
      ...(checkpoints ? [{ name: 'checkpoints', ...checkpoints }] : []),
    ],
  };
}

/** Read by the pod's user and nobody else of its node. */
function secretVolume(name: string, secretName: string): { name: string; secret: object } {
  return { name, secret: { secretName, defaultMode: 0o440 } };
}

function podEnvironment(
  node: string,
  attempt: number,
  { tls, model }: TrainingJob['spec'],
): { name: string; value?: string; valueFrom?: object }[] {
  return [
    { name: 'SOAPSTONE_PLAN', value: `${MOUNTS}/plan/plan.json` },
    { name: 'SOAPSTONE_JOB', value: `${MOUNTS}/plan/job.json` },
    { name: 'SOAPSTONE_PEERS', value: `${MOUNTS}/plan/peers.json` },
    { name: 'SOAPSTONE_TOKEN_FILE', value: `${MOUNTS}/token/token` },
    { name: 'SOAPSTONE_STORAGE', value: `${MOUNTS}/storage` },
    { name: 'SOAPSTONE_NODE', value: node },
    { name: 'SOAPSTONE_ATTEMPT', value: String(attempt) },
    { name: 'SOAPSTONE_HOST', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
    ...('url' in model ? [{ name: 'SOAPSTONE_CACHE', value: `${MOUNTS}/cache` }] : []),
    ...(tls ? [{ name: 'SOAPSTONE_TLS', value: `${MOUNTS}/tls` }] : []),
  ];
}
