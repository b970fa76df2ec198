import type { Connection } from '../../soap/cluster/cluster.ts';
import type { WireSpeed } from '../../soap/cluster/wiring.ts';

/** The one cable of a node, which stands for all its adapters, and the domains it is in, coarsest first. */
export interface NodePort {
  readonly adapter: string;
  readonly domains: readonly string[];
  readonly speed: WireSpeed;
}

/** The point where everything meets. */
const NETWORK = 'network';

/** A switch chip forwards in less than one. */
const SWITCH_LATENCY_US = 1;

/**
 * Joins nodes by a tree of switches, one for each domain that branches. No label tells what the cables between switches carry, so
 * they are as fast as all nodes below together, and said to be.
 */
export function joinNodes(ports: readonly NodePort[], source: string): Connection[] {
  return joinBelow(ports, NETWORK, 0, source);
}

function joinBelow(ports: readonly NodePort[], above: string, depth: number, source: string): Connection[] {
  const groups = Map.groupBy(ports, ({ domains }) => domains[depth]);
  const [only] = groups;
  if (groups.size === 1 && only?.[0] !== undefined) return joinBelow(ports, above, depth + 1, source);
  return [...groups].flatMap(([domain, members]): Connection[] => {
    if (domain === undefined || members.length === 1)
      return members.map(({ adapter, speed }) => ({ between: [adapter, above], ...speed }));
    const point = `switch ${domain}`;
    const bandwidthBytesPerSec = members.reduce((sum, { speed }) => sum + speed.bandwidthBytesPerSec, 0);
    const uplink = `assumed: as fast as the nodes below together; locality by ${source}`;
    return [
      { between: [point, above], bandwidthBytesPerSec, latencyUs: SWITCH_LATENCY_US, source: uplink },
      ...joinBelow(members, point, depth + 1, source),
    ];
  });
}
