import { createCluster } from '../../soap/cluster/topology.ts';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { LinkStatus } from '../api/resource.ts';
import { INTER_NODE_LABEL, INTRA_NODE_LABEL } from '../discovery/labels.ts';
import { linkVerdict } from '../../soap/measurement/verdict.ts';
import type { LinkMeasurement } from '../../soap/measurement/measurement.ts';
import { rate } from '../../soap/measurement/blame.ts';
import type { Visit } from './visit.ts';
import { find } from './visit.ts';

/** Links that a status lists. */
const MAX_LISTED = 8;

/** Holds what the job's pods measured of the ways between them against the plan, once they have. */
export function compareLinks(visit: Visit, plan: Plan, readings: readonly LinkMeasurement[]): void {
  const cluster = createCluster(plan.cluster);
  const { length } = cluster.devices;
  // Each way once, as the pod that is asked first has it.
  const byWay = new Map(readings.toReversed().map((reading) => [`${reading.from} ${reading.to}`, reading]));
  const known = [...byWay.values()].filter(({ from, to }) => from < length && to < length && from !== to);
  if (known.length === 0) return;
  const before = visit.progress.links ?? [];
  const off = known
    .filter((reading) => {
      const { from, to } = status(cluster, reading);
      const wasOff = before.some((link) => link.from === from && link.to === to);
      return linkVerdict(reading.measuredBytesPerSec, reading.plannedBytesPerSec, wasOff) !== undefined;
    })
    .toSorted((a, b) => ratio(a) - ratio(b) || a.from - b.from || a.to - b.to);
  visit.progress.links = off.length === 0 ? undefined : farthest(off).map((link) => status(cluster, link));
  // The slowest of its plan first; the fastest where none is slower.
  const slowest = off.find((link) => ratio(link) < 1);
  const worst = slowest ?? off.at(-1);
  if (worst === undefined) {
    find(
      visit,
      'LinksAccurate',
      'True',
      'LinksAsPlanned',
      `${known.length} links were measured, each as fast as planned`,
    );
    return;
  }
  const others = off.length > 1 ? `; ${off.length} of ${known.length} links are off, see status.links` : '';
  const reason = slowest === undefined ? 'LinkFasterThanLabel' : 'LinkSlowerThanLabel';
  find(visit, 'LinksAccurate', 'False', reason, `${described(cluster, worst)}${others}`);
}

function ratio({ measuredBytesPerSec, plannedBytesPerSec }: LinkMeasurement): number {
  return measuredBytesPerSec / plannedBytesPerSec;
}

/** @param off by their ratio */
function farthest(off: readonly LinkMeasurement[]): LinkMeasurement[] {
  const far = (link: LinkMeasurement): number => Math.abs(Math.log(ratio(link)));
  return off.toSorted((a, b) => far(b) - far(a)).slice(0, MAX_LISTED);
}

function status(cluster: Cluster, { from, to, measuredBytesPerSec, plannedBytesPerSec }: LinkMeasurement): LinkStatus {
  return {
    from: cluster.devices[from]!.name,
    to: cluster.devices[to]!.name,
    measured: rate(measuredBytesPerSec),
    planned: rate(plannedBytesPerSec),
  };
}

/** Which link, how fast it is and should be, who says so, and what to do. */
function described(cluster: Cluster, link: LinkMeasurement): string {
  const { from, to, measured, planned } = status(cluster, link);
  const source = cluster
    .route(link.from, link.to)
    .flatMap((id) => cluster.links[id] ?? [])
    .reduce((a, b) => (b.bandwidthBytesPerSec < a.bandwidthBytesPerSec ? b : a)).source;
  const [sender, receiver] = [cluster.devices[link.from]!.node, cluster.devices[link.to]!.node];
  const gigabits = Number(((8 * link.measuredBytesPerSec) / 1e9).toPrecision(2));
  const cure =
    sender === receiver
      ? `${INTRA_NODE_LABEL}=${gigabits} on node ${sender}`
      : `${INTER_NODE_LABEL}=${gigabits} on the node that is slow, ${sender} or ${receiver}`;
  const verdict = ratio(link) < 1 ? 'see what slows it down, or' : 'to have it used,';
  return `from ${from} to ${to} ${measured} were measured, ${planned} planned by ${source}; ${verdict} set label ${cure}`;
}
