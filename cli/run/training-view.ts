import process from 'node:process';
import type { DeviceEvent } from '../../runtime/device/events.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { RunRecord } from './run-result.ts';
import { Progress } from '../terminal/progress.ts';

/** What a person sees while a job trains. */
export class TrainingView {
  readonly #job: TrainingJob;
  readonly #record: RunRecord;
  #begun: Progress | undefined;

  constructor(job: TrainingJob, record: RunRecord) {
    this.#job = job;
    this.#record = record;
  }

  /** Leaves the terminal to what comes next, however the run ended. */
  close(): void {
    this.#begun?.close();
  }

  /** Time counts from the first event on. */
  get #progress(): Progress {
    return (this.#begun ??= new Progress('training', process.stderr));
  }

  /** Shows an event of any device. */
  show(event: DeviceEvent): void {
    if (event.type === 'evaluation') {
      const accuracy = event.accuracy === undefined ? '' : `, accuracy ${(100 * event.accuracy).toFixed(2)}%`;
      this.#progress.note(`evaluation after ${event.step} steps: loss ${event.loss.toFixed(4)}${accuracy}`);
    }
    if (event.type === 'notice') this.#progress.note(event.message);
    if (event.type !== 'step' || event.loss === undefined) return;
    const { steps, firstStep } = this.#record;
    const done = event.step + 1;
    const samplesPerSecond = this.#job.spec.training.batchSize / event.iterationSeconds;
    const details = `step ${done}/${steps}, loss ${event.loss.toFixed(4)}, ${samplesPerSecond.toFixed(0)} samples/s`;
    if (done === steps) this.#progress.finish(details);
    else this.#progress.update((done - firstStep) / (steps - firstStep), details);
  }
}
