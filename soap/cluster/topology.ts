import type { Cluster, ClusterDescription, Connection, Device, Link } from './cluster.ts';

/** One link out of a point. */
interface Hop {
  readonly to: string;
  readonly link: number;
  readonly bandwidthBytesPerSec: number;
}

/** The best way found to a point. */
interface Path {
  readonly links: readonly number[];
  /** The smallest on the way. */
  readonly bandwidthBytesPerSec: number;
}

/**
 * Builds a cluster from devices and the connections between them and other points (hosts, switches, NICs), all by name.
 * A route has the fewest hops; of those, the highest smallest bandwidth; of those, the connections listed first. Routes are
 * worked out when first asked.
 * @throws {RangeError} from `route` where no way leads to the other device
 */
export function createCluster(description: ClusterDescription): Cluster {
  const { name, devices, connections } = description;
  const links: Link[] = [];
  const outgoing = new Map<string, Hop[]>();
  const addLink = (from: string, to: string, { bandwidthBytesPerSec, latencyUs, source }: Connection): void => {
    const id = links.length;
    links.push({ id, name: `${from}>${to}`, bandwidthBytesPerSec, latencyUs, source });
    const hops = outgoing.get(from);
    const hop = { to, link: id, bandwidthBytesPerSec };
    if (hops === undefined) outgoing.set(from, [hop]);
    else hops.push(hop);
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

/**
 * Breadth-first over the points, one ring of equal distance after the other; within a ring, a wider way to a point replaces
 * a narrower one. Data passes through no other device.
 */
function routesOf(
  from: number,
  devices: readonly Omit<Device, 'id'>[],
  outgoing: ReadonlyMap<string, readonly Hop[]>,
): (readonly number[] | undefined)[] {
  const deviceNames = new Set(devices.map(({ name }) => name));
  const start = devices[from]!.name;
  const reached = new Map<string, Path>([[start, { links: [], bandwidthBytesPerSec: Infinity }]]);
  let ring = [start];
  while (ring.length > 0) {
    const next = new Map<string, Path>();
    for (const point of ring) {
      if (point !== start && deviceNames.has(point)) continue;
      const path = reached.get(point)!;
      for (const { to, link, bandwidthBytesPerSec } of outgoing.get(point) ?? []) {
        const width = Math.min(path.bandwidthBytesPerSec, bandwidthBytesPerSec);
        if (reached.has(to) || width <= (next.get(to)?.bandwidthBytesPerSec ?? 0)) continue;
        next.set(to, { links: [...path.links, link], bandwidthBytesPerSec: width });
      }
    }
    for (const [point, path] of next) reached.set(point, path);
    ring = [...next.keys()];
  }
  return devices.map(({ name }) => reached.get(name)?.links);
}
