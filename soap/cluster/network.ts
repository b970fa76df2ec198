import type { Connection, Source } from './cluster.ts';
import type { WireSpeed } from './wiring.ts';

/** The cable of one network adapter. */
export interface Port {
  /** The point where the adapter is. */
  readonly adapter: string;
  /** Index of the node in the cluster. */
  readonly node: number;
  /** Index of the adapter in the node. */
  readonly rail: number;
  readonly speed: WireSpeed;
}

/** Switches in two tiers. */
export interface Leaves {
  readonly nodesPerLeaf: number;
  /** Whether the adapters of a place in their nodes have leaves of their own (rail-optimised), else nodes have one. */
  readonly rails: boolean;
  /** Ports of a leaf that share one uplink, which is as fast as the fastest of them. */
  readonly oversubscription: number;
  /** Of an uplink, from leaf to spine. */
  readonly latencyUs: number;
  readonly source: Source;
}

/** The name of the one switch, where there are no leaves. */
const NETWORK = 'network';

/** Joins adapters by one switch that never blocks, or by leaves below a spine that never blocks. */
export function joinPorts(ports: readonly Port[], leaves?: Leaves): Connection[] {
  if (leaves === undefined) return ports.map(({ adapter, speed }) => ({ between: [adapter, NETWORK], ...speed }));
  const byLeaf = Map.groupBy(ports, (port) => leafOf(port, leaves));
  return [...byLeaf].flatMap(([leaf, own]) => wireLeaf(leaf, own, leaves, byLeaf.size > 1));
}

function leafOf({ node, rail }: Port, { nodesPerLeaf, rails }: Leaves): string {
  const block = Math.floor(node / nodesPerLeaf);
  return rails ? `leaf${block}.${rail}` : `leaf${block}`;
}

/**
 * A leaf is several points: a port for each cable, the crossbar between its ports, its uplinks. From its port, data turns to
 * the crossbar or to the uplink of the port; which uplink that is never changes, as in a statically routed fat tree. So data
 * to other leaves shares uplinks, and data within the leaf meets nothing but its ports.
 */
function wireLeaf(leaf: string, ports: readonly Port[], leaves: Leaves, hasSpine: boolean): Connection[] {
  const { oversubscription, latencyUs, source } = leaves;
  const points = ports.map(({ adapter }) => `${leaf}/${adapter}`);
  const uplink = (i: number): string => `${leaf}/uplink${Math.floor(i / oversubscription)}`;
  const inside = (i: number, to: string): Connection => ({
    between: [points[i]!, to],
    ...ports[i]!.speed,
    latencyUs: 0,
  });
  const connections = ports.flatMap(({ adapter, speed }, i): Connection[] => [
    { between: [adapter, points[i]!], ...speed },
    inside(i, leaf),
    ...(hasSpine ? [inside(i, uplink(i))] : []),
  ]);
  if (!hasSpine) return connections;
  for (let i = 0; i < ports.length; i += oversubscription) {
    const rates = ports.slice(i, i + oversubscription).map(({ speed }) => speed.bandwidthBytesPerSec);
    const bandwidthBytesPerSec = rates.reduce((a, b) => Math.max(a, b));
    connections.push({ between: [uplink(i), 'spine'], bandwidthBytesPerSec, latencyUs, source });
  }
  return connections;
}

/** How many connections {@link joinPorts} makes for so many ports, or a few more. */
export function portConnectionCount(ports: number, hasLeaves: boolean): number {
  return hasLeaves ? 4 * ports : ports;
}
