import type { ClusterDescription } from './cluster.ts';

/**
 * The points of a cluster as numbers: devices first, by id, then hosts, switches and NICs as connections mention them. Link
 * 2c leads along connection c, link 2c + 1 back, so the way back of a link is `link ^ 1`.
 */
export interface PointGraph {
  readonly deviceCount: number;
  readonly pointCount: number;
  /**
   * The links out of point p are `outgoing` from `firstOutgoing[p]` to before `firstOutgoing[p + 1]`, ascending: of a device
   * all, of other points those that do not lead to devices, as data passes through no device.
   */
  readonly firstOutgoing: Int32Array;
  readonly outgoing: Int32Array;
  /** By link: the point it leads to. */
  readonly linkTo: Int32Array;
  /** By link. */
  readonly bandwidthBytesPerSec: Float64Array;
}

/** Numbers the points of a cluster. */
export function pointGraph({ devices, connections }: ClusterDescription): PointGraph {
  const points = new Map(devices.map(({ name }, id) => [name, id]));
  const numberOf = (name: string): number => {
    let point = points.get(name);
    if (point === undefined) points.set(name, (point = points.size));
    return point;
  };
  const linkTo = new Int32Array(2 * connections.length);
  const bandwidthBytesPerSec = new Float64Array(2 * connections.length);
  connections.forEach((connection, i) => {
    linkTo[2 * i + 1] = numberOf(connection.between[0]);
    linkTo[2 * i] = numberOf(connection.between[1]);
    bandwidthBytesPerSec.fill(connection.bandwidthBytesPerSec, 2 * i, 2 * i + 2);
  });
  const [deviceCount, pointCount] = [devices.length, points.size];
  const adjacency = outgoingLinks(linkTo, deviceCount, pointCount);
  return { deviceCount, pointCount, linkTo, bandwidthBytesPerSec, ...adjacency };
}

/** Sorts links by the point they start from (a counting sort, which keeps them ascending). */
function outgoingLinks(
  linkTo: Int32Array,
  deviceCount: number,
  pointCount: number,
): Pick<PointGraph, 'firstOutgoing' | 'outgoing'> {
  const leadsOn = (link: number): boolean => linkTo[link]! >= deviceCount || linkTo[link ^ 1]! < deviceCount;
  const firstOutgoing = new Int32Array(pointCount + 1);
  linkTo.forEach((_, link) => {
    if (leadsOn(link)) firstOutgoing[linkTo[link ^ 1]! + 1]! += 1;
  });
  for (let point = 0; point < pointCount; point++) firstOutgoing[point + 1]! += firstOutgoing[point]!;
  const free = firstOutgoing.slice();
  const outgoing = new Int32Array(firstOutgoing[pointCount]!);
  linkTo.forEach((_, link) => {
    if (!leadsOn(link)) return;
    const from = linkTo[link ^ 1]!;
    outgoing[free[from]!] = link;
    free[from]! += 1;
  });
  return { firstOutgoing, outgoing };
}
