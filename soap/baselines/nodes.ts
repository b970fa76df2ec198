import type { Cluster } from '../cluster/cluster.ts';

/** Device ids of each node, nodes in the order of their first devices. */
export function devicesByNode({ devices }: Cluster): number[][] {
  return [...Map.groupBy(devices, ({ node }) => node).values()].map((list) => list.map(({ id }) => id));
}

/** All device ids. */
export function allDevices({ devices }: Cluster): number[] {
  return devices.map(({ id }) => id);
}
