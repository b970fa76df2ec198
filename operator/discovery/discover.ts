import type { ResourceV1ResourceClaim, V1Node, V1Pod, V1ResourceSlice } from '@kubernetes/client-node';
import type { ClusterDescription, Connection, Device } from '../../soap/cluster/cluster.ts';
import { LOCAL_CPU } from '../../soap/cluster/device-types.ts';
import { LOCAL_MESSAGE } from '../../soap/cluster/presets.ts';
import { wireNode } from '../../soap/cluster/wiring.ts';
import type { DeviceSettings } from '../../soap/job/training-job.ts';
import type { Offer } from './choose.ts';
import { chooseDevices } from './choose.ts';
import { CORE_RESOURCE, coreOf, joinCores } from './cores.ts';
import type { NodePort } from './join.ts';
import { joinNodes } from './join.ts';
import { collect } from './lines.ts';
import type { TopologyResource } from './locality.ts';
import { domainsOf, levelsOf, nvlinkDomainOf } from './locality.ts';
import { nodeDevices, speedOfProducts } from './node-devices.ts';
import { amountOf, isFinished, podRequest } from './requests.ts';
import type { SliceDevices } from './slices.ts';
import { sliceDevicesByNode } from './slices.ts';
import type { NodeFeatureResource } from './speeds.ts';
import { networkSpeed, tellsOfAdapters } from './speeds.ts';
import { isMigResource, unusable } from './usable.ts';

/** What a cluster may have beside nodes and pods; each is empty where its API is not installed. */
export interface ClusterObjects {
  readonly slices: readonly V1ResourceSlice[];
  readonly claims: readonly ResourceV1ResourceClaim[];
  readonly topologies: readonly TopologyResource[];
  readonly features: readonly NodeFeatureResource[];
}

const NO_OBJECTS: ClusterObjects = { slices: [], claims: [], topologies: [], features: [] };

/** What the nodes offer a job. */
export interface Discovery {
  /** Free devices that the job may use, at most `max`. */
  readonly cluster: ClusterDescription;
  /** Lines with the origin of every number; nodes with equal ones share a line. */
  readonly sources: readonly string[];
  /** Lines with the reason of each node left out; of many nodes with one reason, the first and how many. */
  readonly skipped: readonly string[];
}

interface NodeOffer extends Offer {
  readonly node: V1Node;
  readonly labels: Readonly<Record<string, string>>;
  readonly total: number;
  readonly slice: SliceDevices | undefined;
}

/**
 * Reads devices and links from what nodes say, less what running pods have, and chooses devices that are near each other.
 * @param pods of all namespaces; pods of the job itself do not count as use
 */
export function discoverCluster(
  nodes: readonly V1Node[],
  pods: readonly V1Pod[],
  settings: DeviceSettings,
  isOwn: (pod: V1Pod) => boolean,
  objects: ClusterObjects = NO_OBJECTS,
): Discovery {
  const used = usedByNode(pods, settings.resource, isOwn);
  const slices = sliceDevicesByNode(settings.resource, objects.slices, objects.claims);
  const levels = levelsOf(
    nodes.map(({ metadata }) => metadata?.labels ?? {}),
    objects.topologies,
  );
  const ofCores = settings.resource === CORE_RESOURCE;
  const speedOf = ofCores ? () => LOCAL_CPU.flopsPerSec : speedOfProducts();
  const skipped: [node: string, reason: string][] = [];
  const offers: NodeOffer[] = [];
  for (const node of nodes) {
    const name = node.metadata?.name ?? '';
    const offer = freeDevices(node, settings, used.get(name) ?? 0, slices.get(name));
    if (typeof offer === 'string') skipped.push([name, offer]);
    else {
      const labels = node.metadata?.labels ?? {};
      const slice = slices.get(name);
      const flopsPerSec = speedOf(labels, slice);
      offers.push({ node, name, labels, domains: domainsOf(labels, levels), flopsPerSec, slice, ...offer });
    }
  }
  const features = featuresByNode(objects.features);
  const chosen = chooseDevices(offers, settings).map(({ offer, count }) =>
    describe(offer, count, features.get(offer.name), ofCores ? wiredCores : wiredGpus),
  );
  const connections = [
    ...chosen.flatMap((each) => each.connections),
    ...joinNodes(
      chosen.map(({ port }) => port),
      levels.source,
    ),
  ];
  const locality = chosen.length > 1 ? [`locality: ${levels.source}`] : [];
  return {
    cluster: { name: 'kubernetes', devices: chosen.flatMap(({ devices }) => devices), connections },
    sources: [...collect(chosen.flatMap(({ sources }) => sources)), ...locality],
    skipped: collect(skipped),
  };
}

function usedByNode(pods: readonly V1Pod[], resource: string, isOwn: (pod: V1Pod) => boolean): Map<string, number> {
  const used = new Map<string, number>();
  for (const pod of pods) {
    const node = pod.spec?.nodeName;
    if (node === undefined || isFinished(pod)) continue;
    const count = podRequest(pod, resource);
    if (count > 0 && !isOwn(pod)) used.set(node, (used.get(node) ?? 0) + count);
  }
  return used;
}

/** How many devices of a node are free, of how many; or why it offers none. */
function freeDevices(
  node: V1Node,
  settings: DeviceSettings,
  requested: number,
  slice: SliceDevices | undefined,
): { free: number; total: number } | string {
  const { resource } = settings;
  const allocatable = amountOf(node.status?.allocatable?.[resource], resource);
  const total = allocatable > 0 ? Math.floor(allocatable) : (slice?.count ?? 0);
  if (total === 0 && (slice?.parts ?? 0) > 0) return 'GPUs are cut into MIG devices; training needs whole ones';
  if (total === 0) return `no allocatable ${resource}`;
  const reason = unusable(node, settings);
  if (reason !== undefined) return reason;
  if (isMigResource(resource)) return `${resource} are parts of GPUs; training needs whole ones`;
  // A pod that asks for the extended resource has a claim made for it where DRA serves it: the two are not added.
  const used = allocatable > 0 ? requested : Math.max(requested, slice?.claimed ?? 0);
  // Cores are asked for in thousandths, whose sums are not exact.
  const free = Math.floor(Number((Math.max(allocatable, total) - used).toFixed(3)));
  if (free > 0) return { free, total };
  return resource === CORE_RESOURCE
    ? `pods ask for ${Number(used.toFixed(3))} of ${allocatable} cpu`
    : `all ${total} ${resource} are in use`;
}

/**
 * By node, the object that tells of its network adapters: others may write theirs of the same node, as GPU feature discovery does.
 * Source: NFD puts the node's name in this label of a NodeFeature, and names the object of its worker after the node.
 */
function featuresByNode(features: readonly NodeFeatureResource[]): Map<string, NodeFeatureResource> {
  const nodeOf = ({ metadata }: NodeFeatureResource): string =>
    metadata?.labels?.['nfd.node.kubernetes.io/node-name'] ?? metadata?.name ?? '';
  return new Map(features.filter(tellsOfAdapters).map((feature) => [nodeOf(feature), feature]));
}

interface DescribedNode {
  readonly devices: readonly Omit<Device, 'id'>[];
  readonly connections: readonly Connection[];
  readonly port: NodePort;
  readonly sources: readonly [node: string, text: string][];
}

function describe(
  offer: NodeOffer,
  count: number,
  feature: NodeFeatureResource | undefined,
  wired: (offer: NodeOffer, names: readonly string[]) => WiredDevices,
): DescribedNode {
  const { name, labels, domains } = offer;
  const names = Array.from({ length: count }, (_, i) => `${name}/${i}`);
  const { device, connections, adapter, inside } = wired(offer, names);
  const speed = networkSpeed(labels, feature);
  return {
    devices: names.map((each) => ({ name: each, node: name, ...device })),
    connections,
    port: { adapter, domains, speed },
    sources: [
      [name, `device ${device.type}: ${device.source}`],
      [name, `within the node: ${inside}`],
      [name, `network: ${speed.source}`],
    ],
  };
}

/** What the devices of a node are, and how they are joined to each other and to its network adapters. */
interface WiredDevices {
  readonly device: Omit<Device, 'id' | 'name' | 'node'>;
  readonly connections: readonly Connection[];
  readonly adapter: string;
  /** Where the numbers of the wires are from. */
  readonly inside: string;
}

function wiredGpus({ name, labels, slice, total }: NodeOffer, names: readonly string[]): WiredDevices {
  const { device, wiring } = nodeDevices(labels, slice, { total, wanted: names.length });
  const domain = wiring.kind === 'nvswitch' ? nvlinkDomainOf(labels) : undefined;
  const nvswitch = domain === undefined ? `${name}/nvswitch` : `nvswitch ${domain}`;
  const { connections, adapters } = wireNode(name, names, wiring, names.length, nvswitch);
  return { device, connections, adapter: adapters[0]!, inside: wiring.device.source };
}

function wiredCores({ name, node, total }: NodeOffer, names: readonly string[]): WiredDevices {
  return { device: coreOf(node, total), ...joinCores(name, names), inside: LOCAL_MESSAGE.source };
}
