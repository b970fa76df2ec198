import type { V1Node, V1Pod } from '@kubernetes/client-node';
import type { ClusterDescription, Connection, Device } from '../../soap/cluster/cluster.ts';
import type { DeviceType } from '../../soap/cluster/device-types.ts';
import { deviceTypeOf } from '../../soap/cluster/device-types.ts';
import { gigabitsPerSec, gigabytesPerSec, mebibytes, megabitsPerSec, teraflops } from '../../soap/cluster/units.ts';
import type { DeviceSettings } from '../../soap/job/training-job.ts';

/** Labels by which an administrator overrules every other source; gigabits per second, each way. */
const INTRA_NODE_LABEL = 'soapstone.dev/intra-node-bandwidth-gbps';
const INTER_NODE_LABEL = 'soapstone.dev/inter-node-bandwidth-gbps';

const PRODUCT_LABEL = 'nvidia.com/gpu.product';
const MEMORY_LABEL = 'nvidia.com/gpu.memory';
const SHARING_LABEL = 'nvidia.com/gpu.sharing-strategy';
const KARPENTER_NETWORK_LABEL = 'karpenter.k8s.aws/instance-network-bandwidth';

const INTRA_NODE_LATENCY_US = 5;
const INTER_NODE_LATENCY_US = 30;

/** A speed with its origin. */
interface Speed {
  readonly bytesPerSec: number;
  readonly source: string;
}

const DEFAULT_NETWORK: Speed = {
  bytesPerSec: gigabitsPerSec(10),
  source: `default: 10 Gb/s; set label ${INTER_NODE_LABEL}`,
};

/** Numbers for a product that is not in the table: modest ones, said to be a default. */
const UNKNOWN_TYPE: Omit<DeviceType, 'type' | 'source'> = {
  flopsPerSec: teraflops(10),
  memoryBandwidthBytesPerSec: gigabytesPerSec(500),
  memoryBytes: mebibytes(16384),
  taskOverheadUs: 10,
  intraNodeBytesPerSec: gigabytesPerSec(12),
};

/** What the nodes offer a job. */
export interface Discovery {
  /** Free devices that the job may use, at most `max`. */
  readonly cluster: ClusterDescription;
  /** A line for each number that came from somewhere. */
  readonly sources: readonly string[];
  /** A line for each node that is left out. */
  readonly skipped: readonly string[];
}

interface Offer {
  readonly node: V1Node;
  readonly name: string;
  readonly free: number;
}

/**
 * Reads devices and links from node labels and allocatable resources, less what running pods have. Prefers few nodes with
 * many devices, then names in order, so that equal clusters give equal plans.
 * @param pods of all namespaces; pods of the job itself do not count as use
 */
export function discoverCluster(
  nodes: readonly V1Node[],
  pods: readonly V1Pod[],
  settings: DeviceSettings,
  isOwn: (pod: V1Pod) => boolean,
): Discovery {
  const skipped: string[] = [];
  const offers: Offer[] = [];
  for (const node of nodes) {
    const name = node.metadata?.name ?? '';
    const offer = offerOf(node, name, pods, settings, isOwn);
    if (typeof offer === 'string') skipped.push(`${name}: ${offer}`);
    else offers.push(offer);
  }
  offers.sort((a, b) => b.free - a.free || a.name.localeCompare(b.name));
  const devices: Omit<Device, 'id'>[] = [];
  const connections: Connection[] = [];
  const sources: string[] = [];
  for (const offer of offers) {
    const count = Math.min(offer.free, settings.max - devices.length);
    if (count <= 0) break;
    const wired = wireNode(offer, count);
    devices.push(...wired.devices);
    connections.push(...wired.connections);
    sources.push(...wired.sources);
  }
  return { cluster: { name: 'kubernetes', devices, connections }, sources, skipped };
}

/** What a node offers, or why it offers nothing. */
function offerOf(
  node: V1Node,
  name: string,
  pods: readonly V1Pod[],
  { resource, nodeSelector, tolerations }: DeviceSettings,
  isOwn: (pod: V1Pod) => boolean,
): Offer | string {
  const labels = node.metadata?.labels ?? {};
  const allocatable = Number(node.status?.allocatable?.[resource] ?? 0);
  if (!Number.isSafeInteger(allocatable) || allocatable < 1) return `no allocatable ${resource}`;
  if (Object.entries(nodeSelector).some(([key, value]) => labels[key] !== value))
    return 'not selected by spec.devices.nodeSelector';
  if (node.spec?.unschedulable === true) return 'cordoned';
  const ready = node.status?.conditions?.find(({ type }) => type === 'Ready');
  if (ready !== undefined && ready.status !== 'True') return 'not ready';
  const tolerated = new Set(tolerations.map((toleration) => toleration['key']));
  const taint = node.spec?.taints?.find(({ key, effect }) => effect !== 'PreferNoSchedule' && !tolerated.has(key));
  if (taint !== undefined) return `taint ${taint.key}, which spec.devices.tolerations does not tolerate`;
  const sharing = labels[SHARING_LABEL];
  if (sharing !== undefined && sharing !== 'none') return `GPUs are shared (${sharing}); training needs whole ones`;
  const used = pods
    .filter((pod) => pod.spec?.nodeName === name && !isFinished(pod) && !isOwn(pod))
    .reduce((sum, pod) => sum + requested(pod, resource), 0);
  return allocatable > used ? { node, name, free: allocatable - used } : `all ${allocatable} ${resource} are in use`;
}

/** Whether a pod has given its devices back. */
function isFinished(pod: V1Pod): boolean {
  return pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
}

function requested(pod: V1Pod, resource: string): number {
  const containers = pod.spec?.containers ?? [];
  return containers.reduce(
    (sum, { resources }) => sum + Number(resources?.limits?.[resource] ?? resources?.requests?.[resource] ?? 0),
    0,
  );
}

function wireNode(
  { node, name }: Offer,
  count: number,
): { devices: Omit<Device, 'id'>[]; connections: Connection[]; sources: string[] } {
  const labels = node.metadata?.labels ?? {};
  const type = typeOf(labels);
  const bus = intraNodeSpeed(labels, type);
  const network = networkSpeed(labels);
  const { flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs, source } = type;
  const numbers = { flopsPerSec, memoryBandwidthBytesPerSec, memoryBytes, taskOverheadUs, source };
  const devices = Array.from({ length: count }, (_, i) => ({
    name: `${name}/${i}`,
    node: name,
    type: type.type,
    ...numbers,
  }));
  const connections: Connection[] = devices.map((device) => ({
    between: [device.name, `${name}/bus`],
    bandwidthBytesPerSec: bus.bytesPerSec,
    latencyUs: INTRA_NODE_LATENCY_US,
    source: bus.source,
  }));
  connections.push({
    between: [`${name}/bus`, 'network'],
    bandwidthBytesPerSec: network.bytesPerSec,
    latencyUs: INTER_NODE_LATENCY_US,
    source: network.source,
  });
  const sources = [
    `${name}: device ${type.type}: ${source}`,
    `${name}: within the node: ${bus.source}`,
    `${name}: network: ${network.source}`,
  ];
  return { devices, connections, sources };
}

function typeOf(labels: Readonly<Record<string, string>>): DeviceType {
  const product = labels[PRODUCT_LABEL];
  const known = product === undefined ? undefined : deviceTypeOf(product);
  const memory = Number(labels[MEMORY_LABEL]);
  const base = known ?? {
    ...UNKNOWN_TYPE,
    type: product ?? 'unknown',
    source:
      product === undefined ? `default: no label ${PRODUCT_LABEL}` : `default: product ${product} is not in the table`,
  };
  if (!Number.isFinite(memory) || memory <= 0) return base;
  return { ...base, memoryBytes: mebibytes(memory), source: `${base.source}; memory by label ${MEMORY_LABEL}` };
}

function intraNodeSpeed(labels: Readonly<Record<string, string>>, type: DeviceType): Speed {
  const own = positive(labels[INTRA_NODE_LABEL]);
  if (own !== undefined) return { bytesPerSec: gigabitsPerSec(own), source: `label ${INTRA_NODE_LABEL}=${own}` };
  return { bytesPerSec: type.intraNodeBytesPerSec, source: `table: ${type.source}` };
}

function networkSpeed(labels: Readonly<Record<string, string>>): Speed {
  const own = positive(labels[INTER_NODE_LABEL]);
  if (own !== undefined) return { bytesPerSec: gigabitsPerSec(own), source: `label ${INTER_NODE_LABEL}=${own}` };
  const karpenter = positive(labels[KARPENTER_NETWORK_LABEL]);
  if (karpenter !== undefined) {
    return { bytesPerSec: megabitsPerSec(karpenter), source: `label ${KARPENTER_NETWORK_LABEL}=${karpenter}` };
  }
  return DEFAULT_NETWORK;
}

function positive(label: string | undefined): number | undefined {
  const value = Number(label);
  return label !== undefined && Number.isFinite(value) && value > 0 ? value : undefined;
}
