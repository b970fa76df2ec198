import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import { isKernelProvider } from '../../soap/job/kernel-providers.ts';
import type { LinkMeasurement } from '../../soap/measurement/measurement.ts';
import { parseExposition } from './exposition.ts';
import type { Sample } from './exposition.ts';

/** What a device has done since its process started. */
export interface DeviceReading {
  readonly device: number;
  /** What its kernels run on; undefined where the device does not say it. */
  readonly kernels: KernelProvider | undefined;
  readonly iterations: number;
  readonly iterationSeconds: number;
  readonly computeSeconds: number;
  /** Of one iteration, by the plan. */
  readonly predictedComputeSeconds: number | undefined;
  /** The op whose kernels part most from their prediction, per iteration; undefined where the device does not say it. */
  readonly farthestOp: { readonly op: string; readonly seconds: number; readonly predictedSeconds: number } | undefined;
  /** The peer whose messages were waited for longest, and for how long nothing else was done meanwhile, at most. */
  readonly awaited: { readonly peer: number; readonly seconds: number } | undefined;
}

/** What a runtime pod's metrics say at one moment. */
export interface Reading {
  /** Only of the pod with the first device, which hears of all steps. */
  readonly run: RunReading | undefined;
  readonly devices: readonly DeviceReading[];
  /** Ways between devices that were measured before the first step. */
  readonly links: readonly LinkMeasurement[];
}

/** How far the job is. */
export interface RunReading {
  /** Steps done, and in all. */
  readonly step: number;
  readonly steps: number;
  /** Not a number, or infinite, where training has diverged. */
  readonly loss: number | undefined;
  readonly predictedIterationSeconds: number | undefined;
  /** Steps in the newest checkpoint; 0 where there is none. */
  readonly checkpointStep: number;
  readonly checkpointSeconds: number | undefined;
  /** From the start of the process to the end of its first step. */
  readonly startupSeconds: number | undefined;
}

/** The first device's metrics tell of the whole job. Source: runtime/program/conductor.ts. */
const LEADER = 0;

/**
 * Reads the metrics of a runtime pod (runtime/metrics/metrics.ts); what is missing or makes no sense is left out: all but a loss is a
 * number of something.
 */
export function readMetrics(text: string): Reading {
  const all = parseExposition(text);
  const samples = all.filter(({ value }) => value >= 0 && Number.isFinite(value));
  const byName = Map.groupBy(samples, ({ name }) => name);
  const byDevice = (name: string): Map<number, number> => valuesByDevice(byName.get(name) ?? []);
  const [counts, sums] = [byDevice('soapstone_iteration_seconds_count'), byDevice('soapstone_iteration_seconds_sum')];
  const compute = byDevice('soapstone_device_compute_seconds_total');
  const predicted = byDevice('soapstone_predicted_device_compute_seconds');
  const idle = byDevice('soapstone_device_wait_seconds_total');
  const waits = byName.get('soapstone_peer_wait_seconds_total') ?? [];
  const devices = [...counts].map(([device, iterations]): DeviceReading => ({
    device,
    kernels: kernelsOf(device, byName.get('soapstone_device_kernels_info') ?? []),
    iterations,
    iterationSeconds: sums.get(device) ?? 0,
    computeSeconds: compute.get(device) ?? 0,
    predictedComputeSeconds: predicted.get(device),
    farthestOp: farthestOp(
      device,
      byName.get('soapstone_farthest_op_seconds') ?? [],
      byName.get('soapstone_farthest_op_predicted_seconds') ?? [],
    ),
    awaited: longestAwaited(
      waits.filter(({ labels }) => deviceOf(labels, 'device') === device),
      idle.get(device),
    ),
  }));
  const links = linkReadings(
    byName.get('soapstone_link_measured_bytes_per_second') ?? [],
    byName.get('soapstone_link_planned_bytes_per_second') ?? [],
  );
  const loss = all.find(({ name }) => name === 'soapstone_loss')?.value;
  const run = counts.has(LEADER) ? runReading(loss, (name) => byName.get(name)?.[0]?.value) : undefined;
  return { links, run, devices };
}

function kernelsOf(device: number, infos: readonly Sample[]): DeviceReading['kernels'] {
  const { kernels } = infos.find(({ labels }) => deviceOf(labels, 'device') === device)?.labels ?? {};
  return kernels !== undefined && isKernelProvider(kernels) ? kernels : undefined;
}

/** Longest name of an op that a message repeats. */
const MAX_OP_NAME = 80;

function farthestOp(
  device: number,
  taken: readonly Sample[],
  predicted: readonly Sample[],
): DeviceReading['farthestOp'] {
  const own = taken.find(({ labels }) => deviceOf(labels, 'device') === device);
  const op = own?.labels['op'] ?? '';
  const foreseen = predicted.find(({ labels }) => deviceOf(labels, 'device') === device && labels['op'] === op);
  if (own === undefined || foreseen === undefined || op === '') return undefined;
  return { op: op.slice(0, MAX_OP_NAME), seconds: own.value, predictedSeconds: foreseen.value };
}

function linkReadings(measured: readonly Sample[], planned: readonly Sample[]): LinkMeasurement[] {
  const key = (from: number, to: number): string => `${from} ${to}`;
  const plans = new Map(
    planned.flatMap(({ labels, value }) => {
      const [from, to] = [deviceOf(labels, 'device'), deviceOf(labels, 'peer')];
      return from === undefined || to === undefined ? [] : [[key(from, to), value] as const];
    }),
  );
  return measured.flatMap(({ labels, value }): LinkMeasurement[] => {
    const [from, to] = [deviceOf(labels, 'device'), deviceOf(labels, 'peer')];
    if (from === undefined || to === undefined) return [];
    const plannedBytesPerSec = plans.get(key(from, to));
    if (plannedBytesPerSec === undefined || plannedBytesPerSec <= 0 || value <= 0) return [];
    return [{ from, to, measuredBytesPerSec: value, plannedBytesPerSec }];
  });
}

function runReading(loss: number | undefined, value: (name: string) => number | undefined): RunReading | undefined {
  const [step, steps] = [value('soapstone_step'), value('soapstone_steps')];
  if (step === undefined || steps === undefined || step > steps) return undefined;
  return {
    step,
    steps,
    loss,
    predictedIterationSeconds: value('soapstone_predicted_iteration_seconds'),
    checkpointStep: value('soapstone_checkpoint_step') ?? 0,
    checkpointSeconds: value('soapstone_checkpoint_seconds'),
    startupSeconds: value('soapstone_startup_seconds'),
  };
}

/** @param idleSeconds when nothing else was done meanwhile: messages waited for at once, or while kernels run, come to more */
function longestAwaited(waits: readonly Sample[], idleSeconds: number = Infinity): DeviceReading['awaited'] {
  const longest = waits.toSorted((a, b) => b.value - a.value)[0];
  const peer = longest === undefined ? undefined : deviceOf(longest.labels, 'peer');
  // Of more peers than have series of their own, nobody knows which it was.
  if (longest === undefined || peer === undefined) return undefined;
  return { peer, seconds: Math.min(idleSeconds, longest.value) };
}

function deviceOf(labels: Sample['labels'], label: 'device' | 'peer'): number | undefined {
  const text = labels[label] ?? '';
  return /^\d{1,6}$/.test(text) ? Number(text) : undefined;
}

function valuesByDevice(samples: readonly Sample[]): Map<number, number> {
  return new Map(
    samples.flatMap(({ labels, value }): [number, number][] => {
      const device = deviceOf(labels, 'device');
      return device === undefined ? [] : [[device, value]];
    }),
  );
}
