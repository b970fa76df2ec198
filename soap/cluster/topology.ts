import type { Cluster, ClusterDescription, Link } from './cluster.ts';
import { KeptRoutes } from './kept-routes.ts';
import { pointGraph } from './points.ts';
import { RouteFinder } from './routes.ts';

/**
 * Builds a cluster from devices and the connections between them and other points (hosts, switches, NICs), all by name.
 * A route has the fewest hops; of those, the highest smallest bandwidth; of those, the connections listed first. Routes are
 * worked out when asked, pair by pair, and kept.
 * @throws {RangeError} from `route` and `path` where no way leads to the other device, or there is no such device
 */
export function createCluster(description: ClusterDescription): Cluster {
  const { name } = description;
  const devices = description.devices.map((device, id) => ({ id, ...device }));
  const links = linksOf(description);
  const finder = new RouteFinder(pointGraph(description));
  const kept = new KeptRoutes(devices.length, links);
  /** Where the route of a pair of devices is kept; finds it where it is not. */
  const placeOf = (from: number, to: number): number => {
    if (devices[from] === undefined || devices[to] === undefined) {
      const got = devices[from] === undefined ? from : to;
      throw new RangeError(`cluster '${name}' has no device ${got}; expected 0 to ${devices.length - 1}`);
    }
    const place = kept.find(from, to);
    if (place !== -1) return place;
    const route = finder.find(from, to);
    if (route === undefined) {
      const message = `has no way from ${devices[from].name} to ${devices[to].name}; connect them`;
      throw new RangeError(`cluster '${name}' ${message}`);
    }
    return kept.keep(from, to, route);
  };
  return {
    description,
    name,
    devices,
    links,
    route: (from, to) => kept.route(placeOf(from, to)),
    path: (from, to) => kept.path(placeOf(from, to)),
  };
}

/** Both directions of every connection, in the order that {@link pointGraph} numbers them. */
function linksOf({ connections }: ClusterDescription): Link[] {
  const links: Link[] = [];
  for (const { between, bandwidthBytesPerSec, latencyUs, source } of connections) {
    for (const [from, to] of [between, between.toReversed()]) {
      links.push({ id: links.length, name: `${from}>${to}`, bandwidthBytesPerSec, latencyUs, source });
    }
  }
  return links;
}
