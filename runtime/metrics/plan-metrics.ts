import type { Gauge } from 'prom-client';
import type { Plan, PlannedOp } from '../../soap/plan/plan.ts';

/** Ops with series of their own. */
const MAX_OPS = 200;

/** Series that say where parts of ops are. */
const MAX_PLACEMENTS = 1000;

/** The gauges that tell of a plan. */
export interface PlanGauges {
  readonly parts: Gauge<'op' | 'kind'>;
  readonly degree: Gauge<'op' | 'dimension'>;
  readonly placement: Gauge<'op' | 'device'>;
}

/**
 * Sets what does not change while a job trains: how each op is cut, and where its parts are. Of a model with more ops, those with
 * most parts are shown, of equal ones the first of the model.
 */
export function setPlanMetrics({ ops, cluster }: Plan, { parts, degree, placement }: PlanGauges): void {
  const idOf = new Map(cluster.devices.map(({ name }, id) => [name, String(id)]));
  const shown = Object.entries(ops)
    .toSorted(([, a], [, b]) => b.devices.length - a.devices.length)
    .slice(0, MAX_OPS);
  let placements = 0;
  for (const [op, planned] of shown) {
    parts.set({ op, kind: planned.kind ?? '' }, planned.devices.length);
    for (const [dimension, value] of Object.entries(planned.degrees)) degree.set({ op, dimension }, value);
    const counts = partsByDevice(planned);
    placements += counts.size;
    if (placements > MAX_PLACEMENTS) continue;
    for (const [name, count] of counts) placement.set({ op, device: idOf.get(name) ?? name }, count);
  }
}

function partsByDevice({ devices }: PlannedOp): Map<string, number> {
  const counts = new Map<string, number>();
  for (const device of devices) counts.set(device, (counts.get(device) ?? 0) + 1);
  return counts;
}
