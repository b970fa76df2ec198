import type { Connection } from '../../soap/cluster/cluster.ts';
import type { Plan } from '../../soap/strategy/plan-file.ts';
import type { Measurement } from '../progress/measurement.ts';

/** Computing that takes this much longer than predicted is to blame; less is noise. */
const SLOW_RATIO = 1.25;

/** What an iteration that takes longer than predicted is due to, as far as devices' clocks can tell: a clause. */
export function blame(plan: Plan, { iterationMs, devices }: Measurement): string {
  const slowest = devices.toSorted((a, b) => b.computeMs - a.computeMs || a.device - b.device)[0];
  if (slowest === undefined) return 'no device says what it did';
  const { computeMs: predictedMs } = plan.prediction;
  const { name } = plan.cluster.devices[slowest.device] ?? { name: String(slowest.device) };
  const computes = `${milliseconds(slowest.computeMs)} of it device ${name} computes, ${milliseconds(predictedMs)} predicted for the busiest`;
  if (slowest.computeMs > SLOW_RATIO * predictedMs) return `${computes}: ${straggles(slowest.computeMs, devices)}`;
  const waitMs = Math.max(0, iterationMs - slowest.computeMs);
  const link = slowestConnection(plan);
  const where =
    link === undefined ? '' : `; the slowest link is ${link.between.join(' to ')}, by ${link.source}: is that true?`;
  return `${computes}; ${milliseconds(waitMs)} go by in waiting, sending and data${where}`;
}

function straggles(slowestMs: number, devices: Measurement['devices']): string {
  const times = devices.map(({ computeMs }) => computeMs).toSorted((a, b) => a - b);
  const median = times[Math.floor((times.length - 1) / 2)] ?? 0;
  return times.length > 1 && slowestMs > SLOW_RATIO * median
    ? `others take ${milliseconds(median)}, so see what else runs on its node`
    : 'the devices are slower than their numbers say';
}

/** Only where devices talk at all. */
function slowestConnection({ cluster }: Plan): Connection | undefined {
  if (cluster.devices.length < 2) return undefined;
  return cluster.connections.toSorted((a, b) => a.bandwidthBytesPerSec - b.bandwidthBytesPerSec)[0];
}

/** A time as status and messages show it, such as `12.3 ms`. */
export function milliseconds(value: number): string {
  return `${value.toPrecision(3)} ms`;
}
