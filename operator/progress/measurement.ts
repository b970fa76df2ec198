import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import type { DeviceReading, LinkReading, Reading } from './reading.ts';

/** A running job as it was measured over its last steps. */
export interface Measurement {
  readonly attempt: number;
  /** Steps done, and in all. */
  readonly step: number;
  readonly steps: number;
  readonly loss: number | undefined;
  readonly iterationMs: number;
  /** Of the devices that were asked: the leader's pod's, or all where the prediction is off. */
  readonly devices: readonly DeviceMeasurement[];
  /** Ways between devices, as they were measured before the first step; absent until all pods were asked. */
  readonly links?: readonly LinkReading[];
  /** Steps in the newest checkpoint; 0 where there is none. */
  readonly checkpointStep: number;
  /** How long the last checkpoint took; undefined where none was written. */
  readonly checkpointSeconds: number | undefined;
  /** From the start of the leader's process to the end of its first step. */
  readonly startupSeconds: number | undefined;
}

/** Means of an iteration of one device, since its process started. */
export interface DeviceMeasurement {
  readonly device: number;
  /** What its kernels run on; absent where the device does not say it. */
  readonly kernels?: KernelProvider | undefined;
  readonly computeMs: number;
  /** By the plan; undefined where the device does not say it. */
  readonly predictedComputeMs: number | undefined;
  /** The op whose kernels part most from their prediction; absent where the device does not say it. */
  readonly farthestOp?: { readonly op: string; readonly ms: number; readonly predictedMs: number } | undefined;
  /** The peer whose messages it waited for longest, no longer than it waited in all; undefined where it talks to none. */
  readonly awaited: { readonly peer: number; readonly waitMs: number } | undefined;
}

/** Fewer steps than these say more of the moment than of the job. */
const MIN_STEPS = 5;

/**
 * What was measured from one reading of the leader's pod to a later one; undefined where too few steps lie between. The first step,
 * which compiles kernels, never counts: the earlier reading is to be after it.
 */
export function measure(
  attempt: number,
  before: Reading,
  after: Reading,
  others: readonly Reading[] = [],
): Measurement | undefined {
  const [from, to] = [leaderOf(before), leaderOf(after)];
  if (from === undefined || to === undefined || after.run === undefined) return undefined;
  const steps = to.iterations - from.iterations;
  const seconds = to.iterationSeconds - from.iterationSeconds;
  if (from.iterations < 1 || steps < MIN_STEPS || seconds <= 0) return undefined;
  const devices = [after, ...others].flatMap((reading) => reading.devices.flatMap(deviceMeasurement));
  const { predictedIterationSeconds: _, ...run } = after.run;
  return { attempt, ...run, iterationMs: (1000 * seconds) / steps, devices };
}

/** Whether a reading is one that {@link measure} can start from. */
export function isPastFirstStep(reading: Reading): boolean {
  return (leaderOf(reading)?.iterations ?? 0) >= 1;
}

function leaderOf({ devices }: Reading): DeviceReading | undefined {
  return devices.find(({ device }) => device === 0);
}

function deviceMeasurement(reading: DeviceReading): DeviceMeasurement[] {
  const { device, kernels, iterations, computeSeconds, predictedComputeSeconds, farthestOp, awaited } = reading;
  if (iterations < 1) return [];
  const predictedComputeMs = predictedComputeSeconds === undefined ? undefined : 1000 * predictedComputeSeconds;
  const waitMs = awaited === undefined ? 0 : (1000 * awaited.seconds) / iterations;
  return [
    {
      device,
      kernels,
      computeMs: (1000 * computeSeconds) / iterations,
      predictedComputeMs,
      farthestOp: farthestOp && {
        op: farthestOp.op,
        ms: 1000 * farthestOp.seconds,
        predictedMs: 1000 * farthestOp.predictedSeconds,
      },
      awaited: awaited && { peer: awaited.peer, waitMs },
    },
  ];
}
