import { blame, credit } from '../../soap/measurement/blame.ts';
import type { DeviceMeasurement, LinkMeasurement } from '../../soap/measurement/measurement.ts';
import { isOff } from '../../soap/measurement/verdict.ts';
import type { DeviceEvent, StepEvent } from '../../runtime/device/events.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { quantile } from '../../soap/quantile.ts';

/** Steps that compile and warm up, and those that are looked at: the last so many. */
const [WARM_UP_STEPS, KEPT_STEPS] = [3, 256];

/** What a device said of its steps, with what it should take. */
interface Pace {
  readonly predictedComputeMs: number;
  steps: number;
  last: StepEvent | undefined;
  /** Milliseconds of single steps, and by peer. */
  readonly computeMs: number[];
  readonly waitMs: Map<number, number[]>;
  /** Of single steps, when nothing else was done meanwhile. */
  readonly idleMs: number[];
  farthestOp: DeviceMeasurement['farthestOp'];
}

/** What the devices of a run take their time for, from their events: as the controller reads it from the metrics of pods. */
export class DevicePaces {
  readonly #paces = new Map<number, Pace>();

  observe(device: number, event: DeviceEvent): void {
    if (event.type === 'ready') {
      const predictedComputeMs = 1000 * event.predicted.computeSeconds;
      const nothing = {
        steps: 0,
        last: undefined,
        computeMs: [],
        waitMs: new Map(),
        idleMs: [],
        farthestOp: undefined,
      };
      this.#paces.set(device, { predictedComputeMs, ...nothing });
    }
    const pace = this.#paces.get(device);
    if (event.type === 'step' && pace !== undefined) addStep(pace, event);
  }

  /** Why an iteration parts from its prediction by more than a quarter, in a clause; undefined where it does not. */
  whyOff(plan: Plan, iterationMs: number, links: readonly LinkMeasurement[]): string | undefined {
    const ratio = iterationMs / plan.prediction.iterationMs;
    if (!Number.isFinite(ratio) || ratio === 0 || !isOff(ratio, false)) return undefined;
    const measurement = {
      iterationMs,
      devices: [...this.#paces].map(([device, pace]) => measured(device, pace)),
      links,
    };
    return ratio > 1 ? blame(plan, measurement) : credit(plan, measurement);
  }
}

/** Events have totals since the start. */
function addStep(pace: Pace, event: StepEvent): void {
  const { last } = pace;
  [pace.steps, pace.last] = [pace.steps + 1, event];
  pace.farthestOp = opOf(event) ?? pace.farthestOp;
  if (last === undefined || pace.steps <= WARM_UP_STEPS) return;
  keep(pace.computeMs, 1000 * (event.computeSeconds - last.computeSeconds));
  keep(pace.idleMs, 1000 * (event.waitSeconds - last.waitSeconds));
  const before = new Map(last.awaited);
  for (const [peer, seconds] of event.awaited) {
    const waits = pace.waitMs.get(peer) ?? [];
    keep(waits, 1000 * (seconds - (before.get(peer) ?? 0)));
    pace.waitMs.set(peer, waits);
  }
}

function keep(values: number[], value: number): void {
  values.push(value);
  if (values.length > KEPT_STEPS) values.shift();
}

function opOf({ farthestOp }: StepEvent): DeviceMeasurement['farthestOp'] {
  if (farthestOp === undefined) return undefined;
  const { op, seconds, predictedSeconds } = farthestOp;
  return { op, ms: 1000 * seconds, predictedMs: 1000 * predictedSeconds };
}

/** Medians, as the iteration that they are to explain is one. */
function measured(
  device: number,
  { predictedComputeMs, computeMs, waitMs, idleMs, farthestOp }: Pace,
): DeviceMeasurement {
  const most = median(idleMs);
  const waits = [...waitMs].map(([peer, each]) => ({ peer, waitMs: Math.min(most, median(each)) }));
  return {
    device,
    computeMs: median(computeMs),
    predictedComputeMs,
    farthestOp,
    awaited: waits.toSorted((a, b) => b.waitMs - a.waitMs || a.peer - b.peer)[0],
  };
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5) ?? 0;
}
