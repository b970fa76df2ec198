import { createCluster } from '../../soap/cluster/topology.ts';
import type { Plan } from '../../soap/strategy/plan-file.ts';
import type { DeviceMeasurement, Measurement } from '../progress/measurement.ts';

/** Computing that takes this much longer than predicted is to blame; less is noise. */
const SLOW_RATIO = 1.25;

/**
 * What an iteration that takes longer than predicted is due to, as far as devices' clocks can tell: a clause. A device whose kernels
 * take longer than they should, else the two devices of which one waits longest for the other, and the link between them.
 */
export function blame(plan: Plan, { devices }: Measurement): string {
  const slowest = devices
    .filter((device) => device.computeMs > SLOW_RATIO * predictedMs(plan, device))
    .toSorted((a, b) => excessMs(plan, b) - excessMs(plan, a) || a.device - b.device)[0];
  if (slowest !== undefined) return slowDevice(plan, slowest, devices);
  const waiting = devices
    .filter(({ awaited }) => awaited !== undefined)
    .toSorted((a, b) => (b.awaited?.waitMs ?? 0) - (a.awaited?.waitMs ?? 0) || a.device - b.device)[0];
  return waiting?.awaited === undefined ? 'the time goes by beside kernels and messages' : slowLink(plan, waiting);
}

function slowDevice(plan: Plan, slowest: DeviceMeasurement, devices: readonly DeviceMeasurement[]): string {
  const what = `${milliseconds(slowest.computeMs)} of it device ${nameOf(plan, slowest.device)} computes`;
  const others = devices.filter((device) => device.computeMs > SLOW_RATIO * predictedMs(plan, device)).length - 1;
  const why =
    devices.length > 1 && others === 0
      ? 'no other device is slow, so see what else runs on its node'
      : 'the devices are slower than their numbers say';
  return `${what}, ${milliseconds(predictedMs(plan, slowest))} predicted: ${why}`;
}

function slowLink(plan: Plan, { device, awaited = { peer: device, waitMs: 0 } }: DeviceMeasurement): string {
  const { peer, waitMs } = awaited;
  const what = `${milliseconds(waitMs)} of it device ${nameOf(plan, device)} waits for messages of ${nameOf(plan, peer)}`;
  const cluster = createCluster(plan.cluster);
  if (cluster.devices[device] === undefined || cluster.devices[peer] === undefined) return what;
  const links = cluster.route(peer, device).flatMap((id) => cluster.links[id] ?? []);
  const link = links.toSorted((a, b) => a.bandwidthBytesPerSec - b.bandwidthBytesPerSec)[0];
  return link === undefined
    ? what
    : `${what}; the slowest link between is ${link.name}, by ${link.source}: is that true?`;
}

function excessMs(plan: Plan, device: DeviceMeasurement): number {
  return device.computeMs - predictedMs(plan, device);
}

/** Of a runtime that does not say it: what the busiest device should take. */
function predictedMs(plan: Plan, { predictedComputeMs = plan.prediction.computeMs }: DeviceMeasurement): number {
  return predictedComputeMs;
}

function nameOf({ cluster }: Plan, device: number): string {
  return cluster.devices[device]?.name ?? String(device);
}

/** A time as status and messages show it, such as `12.3 ms`. */
export function milliseconds(value: number): string {
  return `${value.toPrecision(3)} ms`;
}
