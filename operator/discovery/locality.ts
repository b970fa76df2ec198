import type { V1Node } from '@kubernetes/client-node';
import { LOCALITY_SCHEMES, NVLINK_DOMAIN_LABELS, TOPOGRAPH_TIER_PREFIX, ZONE_LABELS } from './labels.ts';

type Labels = Readonly<Record<string, string>>;

/** A Topology object of Kueue: the administrator's own levels, coarsest first. Source: Kueue, "Topology-aware scheduling". */
export interface TopologyResource {
  readonly metadata?: { readonly name?: string; readonly namespace?: string };
  readonly spec?: { readonly levels?: readonly { readonly nodeLabel?: string }[] };
}

/** Which labels say where nodes are, coarsest level first. */
export interface Levels {
  readonly keys: readonly string[];
  readonly source: string;
}

/** Every node has its own value: a plan's nodes are chosen by it, and no scheme has it for a level. */
export const HOSTNAME_LABEL = 'kubernetes.io/hostname';

/**
 * What pods select a node by: the host's own name, which some clouds' nodes are not called by. The kubelet sets it.
 * @param nodes those there are; of another one the name counts
 */
export function hostnameOf(name: string, nodes: readonly V1Node[]): string {
  return nodes.find(({ metadata }) => metadata?.name === name)?.metadata?.labels?.[HOSTNAME_LABEL] ?? name;
}

/**
 * The levels of a cluster: what the administrator gave to Kueue, else topograph's tiers, else a cloud's labels, within regions
 * and zones. A scheme counts when any node has one of its labels.
 */
export function levelsOf(nodes: readonly Labels[], topologies: readonly TopologyResource[]): Levels {
  const has = (key: string): boolean => nodes.some((labels) => labels[key] !== undefined);
  const zones = ZONE_LABELS.filter(has);
  const within = (keys: readonly string[], source: string): Levels => ({
    keys: [...zones.filter((zone) => !keys.includes(zone)), ...keys],
    source,
  });
  const named = topologies
    .map(({ metadata, spec }) => ({
      name: metadata?.name ?? '',
      keys: (spec?.levels ?? []).flatMap(({ nodeLabel }) =>
        nodeLabel === undefined || nodeLabel === HOSTNAME_LABEL || !has(nodeLabel) ? [] : [nodeLabel],
      ),
    }))
    .toSorted((a, b) => b.keys.length - a.keys.length || compare(a.name, b.name))[0];
  if (named !== undefined && named.keys.length > 0) return within(named.keys, `Kueue Topology ${named.name}`);
  const tiers = topographTiers(nodes);
  if (tiers.length > 0) return within(tiers, 'topograph');
  const scheme = LOCALITY_SCHEMES.find(({ levels }) => levels.some(has));
  if (scheme !== undefined) return within(scheme.levels.filter(has), scheme.name);
  return { keys: zones, source: zones.length > 0 ? 'zones' : 'default: no locality labels, one switch' };
}

/** Tier 0 is nearest to the node, so the highest number comes first. */
function topographTiers(nodes: readonly Labels[]): string[] {
  const tiers = new Set<number>();
  for (const labels of nodes) {
    for (const key of Object.keys(labels)) {
      const tier = tierOf(key);
      if (tier !== undefined) tiers.add(tier);
    }
  }
  return [...tiers].toSorted((a, b) => b - a).map((tier) => `${TOPOGRAPH_TIER_PREFIX}${tier}`);
}

/** The number of a topograph tier's label; undefined for other labels. */
export function tierOf(key: string): number | undefined {
  if (!key.startsWith(TOPOGRAPH_TIER_PREFIX)) return undefined;
  const digits = key.slice(TOPOGRAPH_TIER_PREFIX.length);
  return /^[0-9]{1,3}$/.test(digits) ? Number(digits) : undefined;
}

/**
 * The domains a node is in, coarsest first, each named by the way there, since a value such as `rack1` may occur in several
 * blocks. Ends at the first level that the node lacks: what it is in further down is not known.
 */
export function domainsOf(labels: Labels, { keys }: Levels): string[] {
  const domains: string[] = [];
  for (const key of keys) {
    const value = labels[key];
    if (value === undefined) break;
    domains.push(domains.length === 0 ? value : `${domains.at(-1)}/${value}`);
  }
  return domains;
}

/** The NVSwitch that a node shares with others, or undefined. */
export function nvlinkDomainOf(labels: Labels): string | undefined {
  return NVLINK_DOMAIN_LABELS.map((label) => labels[label]).find((value) => value !== undefined && value !== '');
}

/** Order of text that does not depend on the machine's language. */
export function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
