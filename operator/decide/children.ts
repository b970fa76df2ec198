import type { V1ConfigMap, V1NetworkPolicy, V1NetworkPolicyEgressRule, V1Service } from '@kubernetes/client-node';
import { FORBIDDEN_NETWORKS, PRIVATE_NETWORKS } from '../../soap/fetch/addresses.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { GROUP, VERSION } from '../api/crd.ts';
import type { TrainingJobResource } from '../api/resource.ts';
import type { Child, DecideOptions } from './types.ts';

export const JOB_LABEL = 'soapstone.dev/job';
export const ATTEMPT_LABEL = 'soapstone.dev/attempt';
/** Of a pod of an attempt: `podDigest` of the spec that it was made from. */
export const SPEC_LABEL = 'soapstone.dev/spec';
/** Of the pod that reads a model: the generation of the spec that names it. */
export const INSPECT_LABEL = 'soapstone.dev/inspects';

/** Of a pod that measures a device: the table that it measures for. */
export const PROFILE_LABEL = 'soapstone.dev/measures';
/** Of the same: what it measures in which image, by `modelKey`. */
export const MODEL_LABEL = 'soapstone.dev/model';

export const METRICS_PORT = 9400;

const FIRST_PORT = 7070;

/** Characters of a job's uid that tell it from others of its name, before it and after. */
const UID_CHARACTERS = 8;

/**
 * Names of a job's objects; equal on every visit, so that making them again changes nothing. Those of attempts and secrets differ from
 * those of a job of the same name before it: such a secret may be there still, to be collected as garbage under the pods that mount it,
 * and nobody may read whose it is.
 */
export const childNames = {
  plan: (job: string): string => `${job}-plan`,
  attempt: (job: string, attempt: number, uid: string): string => `${job}-${attempt}-${uid.slice(0, UID_CHARACTERS)}`,
  token: (job: string, attempt: number, uid: string): string =>
    `${job}-${attempt}-token-${uid.slice(0, UID_CHARACTERS)}`,
  certificate: (job: string, attempt: number, uid: string): string =>
    `${job}-${attempt}-tls-${uid.slice(0, UID_CHARACTERS)}`,
  service: (job: string): string => job,
  inspectPod: (job: string, generation: number): string => `${job}-inspect-${generation}`,
  profilePod: (job: string, subject: string): string => `${job}-profile-${subject}`,
  pod: (job: string, attempt: number, index: number): string => `${job}-${attempt}-${index}`,
};

/** What every child of a job carries: the label that finds it, and the owner whose deletion deletes it. */
export function childMetadata(
  resource: TrainingJobResource,
  name: string,
): Child['metadata'] & { readonly labels: Readonly<Record<string, string>> } & Record<string, unknown> {
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

/**
 * ConfigMap with plan, job and addresses; headless Service that gives pods their names; NetworkPolicy that lets nobody else in.
 */
export function jobChildren(
  resource: TrainingJobResource,
  job: TrainingJob,
  plan: Plan,
  attempt: number,
  options: NetworkOptions,
): Child[] {
  const { apiVersion, kind, spec } = job;
  const name = job.metadata.name;
  // Without its status: a child must not change with it.
  const mounted = { apiVersion, kind, metadata: { name, namespace: resource.metadata.namespace }, spec };
  const configMap: V1ConfigMap = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    data: {
      'plan.json': encodePlan(plan),
      'job.json': JSON.stringify(mounted),
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
    jobNetworkPolicy(resource, job, options),
  ];
}

/** The NetworkPolicy of all pods of a job, those that measure devices before there is a plan too. */
export function jobNetworkPolicy(resource: TrainingJobResource, job: TrainingJob, options: NetworkOptions): Child {
  return { ...networkPolicy(job, options), metadata: childMetadata(resource, childNames.service(job.metadata.name)) };
}

/** What a job's NetworkPolicy opens beside the job itself. */
export type NetworkOptions = Pick<
  DecideOptions,
  'scraperNamespace' | 'controllerNamespace' | 'modelPrivateAddresses' | 'dnsPorts'
>;

/** Labels of the controller's pods. Source: `soapstone.selectorLabels` of the chart. */
const CONTROLLER_LABELS = { 'app.kubernetes.io/name': 'soapstone', 'app.kubernetes.io/component': 'controller' };

/**
 * Only the job's pods reach each other; only the scraper and the controller read their metrics; they reach nothing else but DNS
 * and, where their model is fetched, servers at such addresses as the controller would fetch from.
 */
function networkPolicy(
  { metadata: { name }, spec: { model } }: TrainingJob,
  { scraperNamespace, controllerNamespace, modelPrivateAddresses, dnsPorts }: NetworkOptions,
): V1NetworkPolicy {
  const peers = { podSelector: { matchLabels: { [JOB_LABEL]: name } } };
  const within = (namespace: string): { namespaceSelector: object } => ({
    namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': namespace } },
  });
  const scraper = within(scraperNamespace);
  const controller = { ...within(controllerNamespace), podSelector: { matchLabels: CONTROLLER_LABELS } };
  return {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    spec: {
      podSelector: peers.podSelector,
      policyTypes: ['Ingress', 'Egress'],
      ingress: [{ _from: [peers] }, { _from: [scraper, controller], ports: [{ port: METRICS_PORT, protocol: 'TCP' }] }],
      egress: [
        { to: [peers] },
        { ports: dnsPorts.flatMap((port) => ['UDP', 'TCP'].map((protocol) => ({ port, protocol }))) },
        ...('url' in model ? [modelServers(model.url, modelPrivateAddresses)] : []),
      ],
    },
  };
}

function modelServers(url: string, privateAllowed: boolean): V1NetworkPolicyEgressRule {
  const closed = [...FORBIDDEN_NETWORKS, ...(privateAllowed ? [] : PRIVATE_NETWORKS)];
  const { protocol, port } = new URL(url);
  // A redirect may lead to the usual port.
  const ports = new Set([Number(port) || (protocol === 'https:' ? 443 : 80), 443]);
  return {
    to: ['0.0.0.0/0', '::/0'].map((cidr) => ({
      ipBlock: { cidr, except: closed.filter((network) => network.includes(':') === cidr.includes(':')) },
    })),
    ports: [...ports].map((number) => ({ port: number, protocol: 'TCP' })),
  };
}

/** Nodes of a plan in order of their devices, with how many devices each has. */
export function nodesOf({ cluster }: Plan): { node: string; devices: number }[] {
  const counts = new Map<string, number>();
  for (const { node } of cluster.devices) counts.set(node, (counts.get(node) ?? 0) + 1);
  return [...counts].map(([node, devices]) => ({ node, devices }));
}

/** The zone of a job's pods: a pod is `<its name>.<zone>` in the cluster's DNS, by its headless service. */
export function podZone({ metadata: { name = '', namespace } }: TrainingJobResource): string {
  return `${childNames.service(name)}.${namespace}.svc`;
}

function peersOf(resource: TrainingJobResource, job: TrainingJob, plan: Plan, attempt: number): object {
  const pods = nodesOf(plan);
  const used = new Map<string, number>();
  const devices = plan.cluster.devices.map(({ node }, device) => {
    const index = pods.findIndex((pod) => pod.node === node);
    const local = used.get(node) ?? 0;
    used.set(node, local + 1);
    const pod = childNames.pod(job.metadata.name, attempt, index);
    const host = `${pod}.${podZone(resource)}`;
    return { device, node, host, port: FIRST_PORT + local };
  });
  return { devices, metricsPort: METRICS_PORT };
}
