import type { Cluster, ClusterDescription, Connection, Device, Link } from './cluster.ts';

/**
 * Builds a cluster from devices and the connections between them and other points (hosts, switches, NICs), all by name.
 * Routes have the fewest hops; of those, the one found first in order of connections. They are worked out when first asked.
 * @throws {RangeError} from `route` where no way leads to the other device
 */
export function createCluster(description: ClusterDescription): Cluster {
  const { name, devices, connections } = description;
  const links: Link[] = [];
  const outgoing = new Map<string, { to: string; link: number }[]>();
  const addLink = (from: string, to: string, { bandwidthBytesPerSec, latencyUs, source }: Connection): void => {
    const id = links.length;
    links.push({ id, name: `${from}>${to}`, bandwidthBytesPerSec, latencyUs, source });
    outgoing.set(from, [...(outgoing.get(from) ?? []), { to, link: id }]);
  };
  for (const connection of connections) {
    const [a, b] = connection.between;
    addLink(a, b, connection);
    addLink(b, a, connection);
  }
  const routesFrom = new Map<number, readonly (readonly number[] | undefined)[]>();
  return {
    description,
    name,
    devices: devices.map((device, id) => ({ id, ...device })),
    links,
    route(from, to) {
      let routes = routesFrom.get(from);
      if (routes === undefined) {
        routes = routesOf(from, devices, outgoing);
        routesFrom.set(from, routes);
      }
      const route = routes[to];
      if (route === undefined) {
        throw new RangeError(
          `cluster '${name}' has no way from ${devices[from]?.name} to ${devices[to]?.name}; connect them`,
        );
      }
      return route;
    },
  };
}

/** Breadth-first over the points; data passes through no other device. */
function routesOf(
  from: number,
  devices: readonly Omit<Device, 'id'>[],
  outgoing: ReadonlyMap<string, readonly { to: string; link: number }[]>,
): (readonly number[] | undefined)[] {
  const deviceNames = new Set(devices.map(({ name }) => name));
  const start = devices[from]!.name;
  const reached = new Map<string, readonly number[]>([[start, []]]);
  const queue = [start];
  for (const point of queue) {
    if (point !== start && deviceNames.has(point)) continue;
    for (const { to, link } of outgoing.get(point) ?? []) {
      if (reached.has(to)) continue;
      reached.set(to, [...reached.get(point)!, link]);
      queue.push(to);
    }
  }
  return devices.map(({ name }) => reached.get(name));
}
