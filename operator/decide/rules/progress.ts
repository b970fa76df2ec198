import type { Plan } from '../../../soap/plan/plan.ts';
import { isOff } from '../../../soap/measurement/verdict.ts';
import type { Measurement } from '../../../soap/measurement/measurement.ts';
import { compareAccelerators } from '../accelerators.ts';
import { blame, credit, milliseconds } from '../../../soap/measurement/blame.ts';
import { compareLinks } from '../links.ts';
import type { Visit } from '../visit.ts';
import { find } from '../visit.ts';

/** Puts what was measured of a running job beside what was predicted. */
export function reportProgress(visit: Visit, plan: Plan): void {
  const { measurement } = visit.observed;
  if (measurement === undefined || measurement.attempt !== visit.progress.attempt) return;
  const { iterationMs, step, steps, loss } = measurement;
  visit.progress.progress = percent(step, steps);
  visit.progress.measured = {
    iteration: milliseconds(iterationMs),
    step,
    steps,
    ...(loss === undefined ? {} : { loss: loss.toPrecision(4) }),
  };
  compareAccelerators(visit, plan, measurement.devices);
  compareLinks(visit, plan, measurement.links ?? []);
  comparePrediction(visit, plan, measurement);
}

function comparePrediction(visit: Visit, plan: Plan, measurement: Measurement): void {
  const { iterationMs: predictedMs } = plan.prediction;
  // A plan that somebody wrote by hand may predict nothing.
  if (predictedMs <= 0) return;
  const ratio = measurement.iterationMs / predictedMs;
  const before = visit.observed.resource.status?.conditions?.find(({ type }) => type === 'PredictionAccurate');
  const times = `${milliseconds(measurement.iterationMs)} an iteration measured, ${milliseconds(predictedMs)} predicted`;
  if (!isOff(ratio, before?.status === 'False')) {
    find(visit, 'PredictionAccurate', 'True', 'AsPredicted', times);
  } else if (ratio > 1) {
    const share = `${Math.round(100 * (ratio - 1))} % more`;
    find(
      visit,
      'PredictionAccurate',
      'False',
      'SlowerThanPredicted',
      `${times}: ${share}; ${blame(plan, measurement)}`,
    );
  } else {
    const share = `${Math.round(100 * (1 - ratio))} % less`;
    find(
      visit,
      'PredictionAccurate',
      'False',
      'FasterThanPredicted',
      `${times}: ${share}; ${credit(plan, measurement)}`,
    );
  }
}

/** A share in whole percent, never more than is done. */
export function percent(step: number, steps: number): string {
  return `${steps === 0 ? 0 : Math.floor((100 * step) / steps)} %`;
}
