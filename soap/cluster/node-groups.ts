import type { ClusterDescription, Connection, Device } from './cluster.ts';
import type { WireSpeed, Wiring } from './wiring.ts';
import { hostPoint, wireNode } from './wiring.ts';

/** Some nodes that are alike. */
export interface NodeGroup {
  readonly count: number;
  readonly devicesPerNode: number;
  readonly device: Omit<Device, 'id' | 'name' | 'node'>;
  readonly wiring: Wiring;
  /** The node's network adapter, each way; absent where the cluster is one node. */
  readonly network?: WireSpeed;
}

/** Names nodes `node0`, `node1`, ... and their devices `node0/gpu0`, ..., and joins the nodes by one network. */
export function describeNodes(name: string, groups: readonly NodeGroup[]): ClusterDescription {
  const devices: Omit<Device, 'id'>[] = [];
  const connections: Connection[] = [];
  const nodes = groups.flatMap((group) => Array.from({ length: group.count }, () => group));
  nodes.forEach(({ devicesPerNode, device, wiring, network }, index) => {
    const node = `node${index}`;
    const names = Array.from({ length: devicesPerNode }, (_, i) => `${node}/gpu${i}`);
    devices.push(...names.map((name) => ({ name, node, ...device })));
    connections.push(...wireNode(node, names, wiring));
    if (network !== undefined) connections.push({ between: [hostPoint(node), 'network'], ...network });
  });
  return { name, devices, connections };
}
