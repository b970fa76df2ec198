import type { Cluster } from '../cluster/cluster.ts';
import type { CollectiveTask } from './task-graph.ts';

const US_PER_SEC = 1e6;

/** Smaller gradients are sent: a message that says that one is complete costs as much. */
const MIN_BYTES = 16_384;

/** Devices that read each other's gradients. Each reads those of all, so beyond a few a ring moves less. */
const MAX_DEVICES = 4;

/**
 * Whether devices sum a gradient by reading each other's where they lie: they are processes of one machine whose kernels compute in its
 * memory (docs/decisions/0036-shared-gradients.md). The runtime asks the same.
 */
export function isReadSum(cluster: Cluster, devices: readonly number[], bytes: number): boolean {
  if (bytes < MIN_BYTES || devices.length > MAX_DEVICES) return false;
  const first = cluster.devices[devices[0]!]!;
  return devices.every((id) => {
    const { type, node } = cluster.devices[id]!;
    return type === 'cpu' && node === first.node;
  });
}

/** Elements that one kernel updates at most. Source: `runtime/optimizers/optimizer.ts`. */
const UPDATE_ELEMENTS = 2 ** 20;

/**
 * Kernels that update a shard: a ring of more than two devices adds up each of its pieces in an order of its own, where gradients are
 * read as they lie. The twin of `termOrder` of runtime/collectives.
 */
export function updateRuns(
  elements: number,
  collective: Pick<CollectiveTask, 'isRead' | 'algorithm' | 'devices'> | undefined,
): number {
  const orders = termOrders(collective);
  return orders * Math.max(1, Math.ceil(elements / orders / UPDATE_ELEMENTS));
}

/** In how many orders the devices' terms of a gradient are added up where they are read as they lie, each by a kernel of its own. */
export function termOrders(collective: Pick<CollectiveTask, 'isRead' | 'algorithm' | 'devices'> | undefined): number {
  const isRing = collective?.algorithm === 'ring' || collective?.algorithm === 'hierarchical';
  return collective?.isRead === true && isRing && collective.devices.length > 2 ? collective.devices.length : 1;
}

/** Bytes that each device reads of the others' gradients where these lie; none where they are sent. */
export function readTermBytes({
  isRead,
  devices,
  bytes,
}: Pick<CollectiveTask, 'isRead' | 'devices' | 'bytes'>): number {
  return isRead ? (devices.length - 1) * bytes : 0;
}

/**
 * What such a sum adds to an iteration: the word that a gradient is complete, then each device reads those of the others, as it
 * updates, from the memory that they share.
 */
export function readSumUs(cluster: Cluster, devices: readonly number[], bytes: number): number {
  let [latencyUs, bytesPerSec] = [0, Infinity];
  for (const id of devices) {
    bytesPerSec = Math.min(bytesPerSec, cluster.devices[id]!.memoryBandwidthBytesPerSec);
    if (id === devices[0]) continue;
    const route = cluster.route(devices[0]!, id);
    latencyUs = Math.max(
      latencyUs,
      route.reduce((sum, link) => sum + cluster.links[link]!.latencyUs, 0),
    );
  }
  return latencyUs + (((devices.length - 1) * bytes) / bytesPerSec) * US_PER_SEC;
}
