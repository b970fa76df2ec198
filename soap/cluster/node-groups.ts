import type { ClusterDescription, Connection, Device } from './cluster.ts';
import type { Leaves, Port } from './network.ts';
import { joinPorts } from './network.ts';
import type { WireSpeed, NodeWiring } from './wiring.ts';
import { wireNode } from './wiring.ts';

/** Some nodes that are alike. */
export interface NodeGroup {
  readonly count: number;
  readonly devicesPerNode: number;
  readonly device: Omit<Device, 'id' | 'name' | 'node'>;
  readonly wiring: NodeWiring;
  /** The nodes' network adapters; absent where the cluster needs no network. */
  readonly network?: { readonly adapter: WireSpeed; readonly devicesPerAdapter: number };
}

/**
 * Names nodes `node0`, `node1`, ... and their devices `node0/gpu0`, ..., and joins the nodes by their network. An NVSwitch of
 * several nodes is `nvswitch0`, ..., that of one node `node0/nvswitch`.
 */
export function describeNodes(name: string, groups: readonly NodeGroup[], leaves?: Leaves): ClusterDescription {
  const devices: Omit<Device, 'id'>[] = [];
  const connections: Connection[] = [];
  const ports: Port[] = [];
  let nodes = 0;
  let domains = 0;
  for (const { count, devicesPerNode, device, wiring, network } of groups) {
    const { nodesPerDomain = 1 } = wiring;
    for (let i = 0; i < count; i++) {
      const node = `node${nodes}`;
      const names = Array.from({ length: devicesPerNode }, (_, gpu) => `${node}/gpu${gpu}`);
      const nvswitch =
        nodesPerDomain === 1 ? `${node}/nvswitch` : `nvswitch${domains + Math.floor(i / nodesPerDomain)}`;
      const wired = wireNode(node, names, wiring, network?.devicesPerAdapter ?? devicesPerNode, nvswitch);
      devices.push(...names.map((each) => ({ name: each, node, ...device })));
      connections.push(...wired.connections);
      if (network !== undefined) {
        const speed = network.adapter;
        ports.push(...wired.adapters.map((adapter, rail) => ({ adapter, node: nodes, rail, speed })));
      }
      nodes += 1;
    }
    if (nodesPerDomain > 1) domains += Math.ceil(count / nodesPerDomain);
  }
  return { name, devices, connections: [...connections, ...joinPorts(ports, leaves)] };
}
