import type { DeviceMeasurement, Measurement } from '../../soap/measurement/measurement.ts';
import type { DeviceReading, Reading } from './reading.ts';

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
