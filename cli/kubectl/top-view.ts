import type { TrainingJobResource } from '../../operator/api/resource.ts';
import { bytes, duration, table } from '../terminal/format.ts';
import { oneLine } from '../terminal/printable.ts';
import { plainLine } from '../../soap/plain-text.ts';
import type { DeviceTotals, Measured, JobMetrics } from './measure.ts';
import { since } from './measure.ts';

/** A job with what was measured of it now, and at the reading before. */
export interface JobReading extends JobMetrics {
  readonly resource: TrainingJobResource;
  readonly before?: Measured | undefined;
}

const TITLES = ['job', 'state', 'step', 'loss', 'samples/s', 'devices', 'predicted', 'measured', 'difference'];
const DEVICE_TITLES = ['device', 'pod', 'iteration', 'computes', 'waits', 'sends an iteration'];

/** A row for each job. @param withNamespace where jobs are of several namespaces */
export function jobsText(readings: readonly JobReading[], withNamespace: boolean): string {
  if (readings.length === 0) return 'there are no TrainingJobs here; -A looks into all namespaces\n';
  const notes = readings.flatMap(({ unreachable }) => (unreachable === undefined ? [] : [`${unreachable}\n`]));
  return `${table([TITLES, ...readings.map((reading) => jobRow(reading, withNamespace))], 2)}${notes.join('')}`;
}

/** A job, and a row for each of its devices. */
export function jobText(reading: JobReading): string {
  const { resource, measured } = reading;
  const rows = devicesSince(reading).map((device) => deviceRow(device));
  const devices = measured === undefined || rows.length === 0 ? '' : `\n${table([DEVICE_TITLES, ...rows], 2)}`;
  const { message } = resource.status ?? {};
  return `${jobsText([reading], false)}${message === undefined ? '' : `  ${oneLine(message)}\n`}${devices}${restartsText(resource)}`;
}

/** Why the last attempts ended, of which the pods are gone. */
function restartsText({ metadata, status }: TrainingJobResource): string {
  const { restarts = [], attempt = 0 } = status ?? {};
  if (restarts.length === 0) return '';
  const lines = restarts.map(
    ({ attempt, time, reason, message, log }) =>
      `  attempt ${attempt}, ${time.replace(/\.\d+Z$/, 'Z')}, ${reason}: ${oneLine(message)}\n${log === undefined ? '' : indented(log)}`,
  );
  return `\nwhy attempts ended, the newest first (${metadata.name} is at attempt ${attempt}):\n${lines.join('')}`;
}

function indented(log: string): string {
  return log
    .split('\n')
    .map((line) => `    | ${plainLine(line)}\n`)
    .join('');
}

function jobRow(reading: JobReading, withNamespace: boolean): string[] {
  const { resource, measured } = reading;
  const { metadata, status } = resource;
  const name = withNamespace ? `${metadata.namespace}/${metadata.name}` : (metadata.name ?? '');
  // What the controller measured stands in where the pods cannot be reached from here.
  const told = measured === undefined ? status?.measured : undefined;
  const measuredMs = iterationMs(reading) ?? milliseconds(told?.iteration);
  const predictedMs = milliseconds(status?.iteration);
  return [
    name,
    status?.state ?? 'New',
    measured === undefined
      ? told === undefined
        ? '-'
        : `${told.step}/${told.steps}`
      : `${measured.step}${stepsOf(resource)}`,
    measured === undefined || measured.step === 0 ? (told?.loss ?? '-') : measured.loss.toFixed(4),
    measured === undefined || measured.step === 0 ? '-' : measured.samplesPerSecond.toFixed(0),
    String(status?.devices ?? '-'),
    status?.iteration ?? '-',
    measuredMs === undefined ? '-' : duration(measuredMs),
    measuredMs === undefined || predictedMs === undefined ? '-' : percent(measuredMs / predictedMs - 1),
  ];
}

/** Mean time of an iteration on device 0, which paces all. */
function iterationMs(reading: JobReading): number | undefined {
  const [first] = devicesSince(reading);
  return first === undefined || first.iterations === 0 ? undefined : (1000 * first.iterationSeconds) / first.iterations;
}

function devicesSince({ measured, before }: JobReading): DeviceTotals[] {
  return (measured?.devices ?? []).map((device) =>
    since(
      device,
      before?.devices.find((each) => each.device === device.device),
    ),
  );
}

function deviceRow({
  device,
  pod,
  iterations,
  iterationSeconds,
  computeSeconds,
  waitSeconds,
  sentBytes,
}: DeviceTotals): string[] {
  if (iterations === 0) return [device, pod, '-', '-', '-', '-'];
  const share = (seconds: number): string => `${((100 * seconds) / iterationSeconds).toFixed(0)}%`;
  return [
    device,
    pod,
    duration((1000 * iterationSeconds) / iterations),
    share(computeSeconds),
    share(waitSeconds),
    bytes(Math.round(sentBytes / iterations)),
  ];
}

function percent(share: number): string {
  return `${share >= 0 ? '+' : ''}${(100 * share).toFixed(0)}%`;
}

/** Such as `12.3 ms` of a status. */
function milliseconds(text: string | undefined): number | undefined {
  const [, value, unit] = /^([\d.]+) (us|ms|s)$/.exec(text ?? '') ?? [];
  if (value === undefined || unit === undefined) return undefined;
  return Number(value) * { us: 0.001, ms: 1, s: 1000 }[unit === 'us' || unit === 's' ? unit : 'ms'];
}

/** `/1000` where the spec says how many steps there are. */
function stepsOf({ spec }: TrainingJobResource): string {
  const training = typeof spec === 'object' && spec !== null && 'training' in spec ? spec.training : undefined;
  const steps = typeof training === 'object' && training !== null && 'steps' in training ? training.steps : undefined;
  return typeof steps === 'number' ? `/${steps}` : '';
}
