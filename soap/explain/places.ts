import type { ClusterDescription, Device } from '../cluster/cluster.ts';

/** Where a connection lies: NVLink between devices, another wire inside a node, or the network, which leads out of nodes. */
export type Place = 'nvlink' | 'node' | 'network';

/** The place of each connection, by its index. Names of points are those of `soap/cluster/wiring.ts` and `network.ts`. */
export function placesOf({ devices, connections }: ClusterDescription): Place[] {
  const nodeOfDevice = new Map(devices.map(({ name, node }) => [name, node]));
  const nodeOfPoint = nodesOfPoints(devices);
  return connections.map(({ between: [a, b] }) => {
    const [one, other] = [nodeOfDevice.get(a), nodeOfDevice.get(b)];
    if (one !== undefined && one === other) return 'nvlink';
    if ((one === undefined) !== (other === undefined) && [a, b].some(isNvswitch)) return 'nvlink';
    const node = nodeOfPoint(a);
    return node !== undefined && node === nodeOfPoint(b) ? 'node' : 'network';
  });
}

/**
 * The node that a point is in: a device's is its own, whatever the device is called, another point's is told by its name ({@link nodeOf});
 * undefined for what is between nodes.
 */
export function nodesOfPoints(
  devices: readonly Pick<Device, 'name' | 'node'>[],
): (point: string) => string | undefined {
  const nodeOfDevice = new Map(devices.map(({ name, node }) => [name, node]));
  const nodes = new Set(nodeOfDevice.values());
  return (point) => nodeOfDevice.get(point) ?? nodeOf(point, nodes);
}

/** The points that a link leads from and to, by its name, such as `node0/nic>switch`. */
export function endsOfLink(name: string): readonly [from: string, to: string] {
  const [from = '', to = ''] = name.split('>');
  return [from, to];
}

/** The node that a point is in: its name is the node's, or begins with it, as `node0/host`; undefined for what is between nodes. */
export function nodeOf(point: string, nodes: ReadonlySet<string>): string | undefined {
  if (nodes.has(point)) return point;
  const first = point.slice(0, Math.max(0, point.indexOf('/')));
  return nodes.has(first) ? first : undefined;
}

/** The node that a point serves: the one it is in, or whose cable a port of a switch is for, as `leaf0/node3/host`. */
export function servedNode(point: string, nodes: ReadonlySet<string>): string | undefined {
  return nodeOf(point, nodes) ?? point.split('/').find((segment) => nodes.has(segment));
}

/** Such as `node0/nvswitch`, or `nvswitch1` where nodes share it. */
function isNvswitch(point: string): boolean {
  return /(^|\/)nvswitch\d*$/.test(point);
}
