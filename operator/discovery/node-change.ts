import type { V1Node } from '@kubernetes/client-node';
import { CORE_RESOURCE } from './cores.ts';
import { KNOWN_LABELS } from './labels.ts';
import { compare, tierOf } from './locality.ts';

/**
 * What of a node discovery looks at, as text to compare: most updates of nodes are time stamps that change nothing.
 * @param others labels that matter beside the known ones: of node selectors and Topology objects
 */
export function nodeFingerprint({ metadata, spec, status }: V1Node, others: ReadonlySet<string>): string {
  const labels = Object.entries(metadata?.labels ?? {}).filter(
    ([key]) => KNOWN_LABELS.has(key) || others.has(key) || tierOf(key) !== undefined,
  );
  const devices = Object.entries(status?.allocatable ?? {}).filter(
    ([resource]) => resource.includes('/') || resource === CORE_RESOURCE || resource === 'memory',
  );
  const ready = status?.conditions?.find(({ type }) => type === 'Ready')?.status;
  const taints = (spec?.taints ?? []).map(({ key, value, effect }) => [key, value, effect]);
  return JSON.stringify([
    labels.toSorted(byKey),
    devices.toSorted(byKey),
    spec?.unschedulable ?? false,
    taints,
    ready,
    metadata?.uid,
  ]);
}

function byKey([a]: readonly [string, string], [b]: readonly [string, string]): number {
  return compare(a, b);
}
