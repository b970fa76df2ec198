import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createCluster } from '../../soap/cluster/topology.ts';

/** The same cluster with devices whose names do not say their node, as the long form of cluster files allows: `card0`, `card1`, ... */
export function freelyNamed({ description }: Cluster): Cluster {
  const names = new Map(description.devices.map(({ name }, id) => [name, `card${id}`]));
  const named = (point: string): string => names.get(point) ?? point;
  return createCluster({
    ...description,
    devices: description.devices.map((device) => ({ ...device, name: named(device.name) })),
    connections: description.connections.map(({ between: [a, b], ...each }) => ({
      ...each,
      between: [named(a), named(b)],
    })),
  });
}
