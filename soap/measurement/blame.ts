import { createCluster } from '../cluster/topology.ts';
import type { Plan } from '../plan/plan.ts';
import type { DeviceMeasurement, LinkMeasurement, Measurement } from './measurement.ts';

/** Computing that takes this much longer than predicted is to blame; less is noise. */
const SLOW_RATIO = 1.25;

/** A device is to blame though others wait longer for something, as long as its own delay is this share of their wait. */
const DELAY_SHARE = 0.5;

/**
 * What an iteration that takes longer than predicted is due to, as far as devices' clocks can tell: a clause. A device whose kernels
 * take longer than they should, with the op that is farthest off, else the two devices of which one waits longest for the other, and
 * the link between them.
 */
export function blame(plan: Plan, { devices, links = [] }: Pick<Measurement, 'devices' | 'links'>): string {
  const slowest = devices
    .filter((device) => device.computeMs > SLOW_RATIO * predictedMs(plan, device))
    .toSorted((a, b) => excessMs(plan, b) - excessMs(plan, a) || a.device - b.device)[0];
  const waiting = devices
    .filter(({ awaited }) => awaited !== undefined)
    .toSorted((a, b) => (b.awaited?.waitMs ?? 0) - (a.awaited?.waitMs ?? 0) || a.device - b.device)[0];
  if (slowest !== undefined && excessMs(plan, slowest) >= DELAY_SHARE * (waiting?.awaited?.waitMs ?? 0))
    return slowDevice(plan, slowest, devices);
  return waiting?.awaited === undefined
    ? 'the time goes by beside kernels and messages'
    : slowLink(plan, waiting.device, waiting.awaited, links);
}

/** What an iteration that takes less time than predicted is due to: the op that is farthest below its prediction, or the links. */
export function credit(plan: Plan, { devices }: Pick<Measurement, 'devices'>): string {
  const saved = devices
    .flatMap(({ device, farthestOp }) => (farthestOp === undefined ? [] : [{ device, ...farthestOp }]))
    .filter(({ ms, predictedMs }) => ms < predictedMs)
    .toSorted((a, b) => b.predictedMs - b.ms - (a.predictedMs - a.ms) || a.device - b.device)[0];
  return saved === undefined
    ? 'messages and waiting take less than they should'
    : `most of all op ${opText(saved)}, on device ${nameOf(plan, saved.device)}`;
}

/** Such as `conv1: 4.00 ms, 1.00 ms predicted`. */
function opText({ op, ms, predictedMs }: NonNullable<DeviceMeasurement['farthestOp']>): string {
  return `${op}: ${milliseconds(ms)}, ${milliseconds(predictedMs)} predicted`;
}

function slowDevice(plan: Plan, slowest: DeviceMeasurement, devices: readonly DeviceMeasurement[]): string {
  const what = `${milliseconds(slowest.computeMs)} of it device ${nameOf(plan, slowest.device)} computes`;
  const op = slowest.farthestOp;
  const most = op === undefined || op.ms <= op.predictedMs ? '' : ` (most of all op ${opText(op)})`;
  const others = devices.filter((device) => device.computeMs > SLOW_RATIO * predictedMs(plan, device)).length - 1;
  const why =
    devices.length > 1 && others === 0
      ? 'no other device is slow, so see what else runs on its node'
      : 'the devices are slower than their numbers say';
  return `${what}, ${milliseconds(predictedMs(plan, slowest))} predicted${most}: ${why}`;
}

function slowLink(
  plan: Plan,
  device: number,
  { peer, waitMs }: NonNullable<DeviceMeasurement['awaited']>,
  readings: readonly LinkMeasurement[],
): string {
  const what = `${milliseconds(waitMs)} of it device ${nameOf(plan, device)} waits for messages of ${nameOf(plan, peer)}`;
  const cluster = createCluster(plan.cluster);
  if (cluster.devices[device] === undefined || cluster.devices[peer] === undefined) return what;
  const links = cluster.route(peer, device).flatMap((id) => cluster.links[id] ?? []);
  const link = links.toSorted((a, b) => a.bandwidthBytesPerSec - b.bandwidthBytesPerSec)[0];
  if (link === undefined) return what;
  const measured = readings.find(({ from, to }) => from === peer && to === device);
  const speed =
    measured === undefined
      ? 'is that true?'
      : `${rate(measured.measuredBytesPerSec)} were measured before the first step, ${rate(measured.plannedBytesPerSec)} planned`;
  return `${what}; the slowest link between is ${link.name} (by ${link.source}): ${speed}`;
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

/** A rate as status and messages show it, such as `0.88 GB/s`. */
export function rate(bytesPerSec: number): string {
  return `${Number((bytesPerSec / 1e9).toPrecision(3))} GB/s`;
}

/** A time as status and messages show it, such as `12.3 ms` or `44240 ms`: never with a power of ten. */
export function milliseconds(value: number): string {
  return `${value < 999.5 ? value.toPrecision(3) : value.toFixed(0)} ms`;
}
