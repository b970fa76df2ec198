import type { KubernetesObject, V1ConfigMap, V1Pod, V1Service } from '@kubernetes/client-node';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { encodePlan } from '../../soap/strategy/plan-file.ts';
import type { Plan } from '../../soap/strategy/plan-file.ts';
import { GROUP, VERSION } from '../api/crd.ts';
import type { TrainingJobResource } from '../api/resource.ts';

export const JOB_LABEL = 'soapstone.dev/job';
export const ATTEMPT_LABEL = 'soapstone.dev/attempt';

const FIRST_PORT = 7070;
const METRICS_PORT = 9400;
const MOUNTS = '/var/run/soapstone';

/** An object that a job needs. */
export type Child = KubernetesObject & { readonly metadata: { readonly name: string; readonly namespace: string } };

/** Names of a job's objects; equal on every visit, so that making them again changes nothing. */
export const childNames = {
  plan: (job: string): string => `${job}-plan`,
  token: (job: string): string => `${job}-token`,
  service: (job: string): string => job,
  pod: (job: string, attempt: number, index: number): string => `${job}-${attempt}-${index}`,
};

/** What every child of a job carries: the label that finds it, and the owner whose deletion deletes it. */
export function childMetadata(
  resource: TrainingJobResource,
  name: string,
): Child['metadata'] & Record<string, unknown> {
  const { name: job = '', namespace = '', uid = '' } = resource.metadata;
  return {
    name,
    namespace,
    labels: { [JOB_LABEL]: job, 'app.kubernetes.io/managed-by': 'soapstone' },
    ownerReferences: [
      {
        apiVersion: `${GROUP}/${VERSION}`,
        kind: 'TrainingJob',
        name: job,
        uid,
        controller: true,
        blockOwnerDeletion: false,
      },
    ],
  };
}

/** ConfigMap with plan, job and addresses; headless Service that gives pods their names. */
export function jobChildren(resource: TrainingJobResource, job: TrainingJob, plan: Plan, attempt: number): Child[] {
  const name = job.metadata.name;
  const configMap: V1ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    data: {
      'plan.json': encodePlan(plan),
      'job.json': JSON.stringify({ ...job, metadata: { name, namespace: resource.metadata.namespace } }),
      'peers.json': JSON.stringify(peersOf(resource, job, plan, attempt)),
    },
  };
  const service: V1Service = {
    apiVersion: 'v1',
    kind: 'Service',
    spec: {
      clusterIP: 'None',
      // Pods must find each other before they are ready: they become ready together.
      publishNotReadyAddresses: true,
      selector: { [JOB_LABEL]: name },
      ports: [{ name: 'metrics', port: METRICS_PORT, protocol: 'TCP', targetPort: METRICS_PORT }],
    },
  };
  return [
    { ...configMap, metadata: childMetadata(resource, childNames.plan(name)) },
    { ...service, metadata: childMetadata(resource, childNames.service(name)) },
  ];
}

/** One pod for each node of the plan. */
export function jobPods(
  resource: TrainingJobResource,
  job: TrainingJob,
  plan: Plan,
  attempt: number,
  image: string,
): Child[] {
  const name = job.metadata.name;
  return nodesOf(plan).map(({ node, devices }, index): Child => {
    const podName = childNames.pod(name, attempt, index);
    const metadata = childMetadata(resource, podName);
    const pod: V1Pod = {
      apiVersion: 'v1',
      kind: 'Pod',
      spec: {
        hostname: podName,
        subdomain: childNames.service(name),
        restartPolicy: 'Never',
        nodeSelector: { 'kubernetes.io/hostname': node },
        tolerations: job.spec.devices.tolerations.map((toleration) => ({ ...toleration })),
        automountServiceAccountToken: false,
        securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
        containers: [
          {
            name: 'worker',
            image,
            command: ['soapstone', 'worker'],
            env: podEnvironment(node, attempt),
            ports: [{ name: 'metrics', containerPort: METRICS_PORT }],
            resources: { limits: { [job.spec.devices.resource]: String(devices) } },
            securityContext: {
              allowPrivilegeEscalation: false,
              capabilities: { drop: ['ALL'] },
              readOnlyRootFilesystem: true,
            },
            readinessProbe: { httpGet: { path: '/healthz', port: METRICS_PORT }, periodSeconds: 5 },
            volumeMounts: [
              { name: 'plan', mountPath: `${MOUNTS}/plan`, readOnly: true },
              { name: 'token', mountPath: `${MOUNTS}/token`, readOnly: true },
              { name: 'storage', mountPath: `${MOUNTS}/storage` },
            ],
          },
        ],
        volumes: [
          { name: 'plan', configMap: { name: childNames.plan(name) } },
          { name: 'token', secret: { secretName: childNames.token(name) } },
          { name: 'storage', ...(job.spec.storage ?? { emptyDir: {} }) },
        ],
      },
    };
    const labels = { [JOB_LABEL]: name, [ATTEMPT_LABEL]: String(attempt), 'app.kubernetes.io/managed-by': 'soapstone' };
    return { ...pod, metadata: { ...metadata, labels } };
  });
}

function podEnvironment(node: string, attempt: number): { name: string; value?: string; valueFrom?: object }[] {
  return [
    { name: 'SOAPSTONE_PLAN', value: `${MOUNTS}/plan/plan.json` },
    { name: 'SOAPSTONE_JOB', value: `${MOUNTS}/plan/job.json` },
    { name: 'SOAPSTONE_PEERS', value: `${MOUNTS}/plan/peers.json` },
    { name: 'SOAPSTONE_TOKEN_FILE', value: `${MOUNTS}/token/token` },
    { name: 'SOAPSTONE_STORAGE', value: `${MOUNTS}/storage` },
    { name: 'SOAPSTONE_NODE', value: node },
    { name: 'SOAPSTONE_ATTEMPT', value: String(attempt) },
    { name: 'SOAPSTONE_HOST', valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath: 'status.podIP' } } },
  ];
}

/** Nodes of a plan in order of their devices, with how many devices each has. */
export function nodesOf({ cluster }: Plan): { node: string; devices: number }[] {
  const counts = new Map<string, number>();
  for (const { node } of cluster.devices) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts].map(([node, devices]) => ({ node, devices }));
}

function peersOf(resource: TrainingJobResource, job: TrainingJob, plan: Plan, attempt: number): object {
  const pods = nodesOf(plan);
  const used = new Map<string, number>();
  const devices = plan.cluster.devices.map(({ node }, device) => {
    const index = pods.findIndex((pod) => pod.node === node);
    const local = used.get(node) ?? 0;
    used.set(node, local + 1);
    const pod = childNames.pod(job.metadata.name, attempt, index);
    const host = `${pod}.${childNames.service(job.metadata.name)}.${resource.metadata.namespace}.svc`;
    return { device, node, host, port: FIRST_PORT + local };
  });
  return { devices, metricsPort: METRICS_PORT };
}
