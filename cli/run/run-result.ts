import { DevicePaces } from './device-paces.ts';
import type { DeviceEvent } from '../../runtime/device/events.ts';
import type { PeerTraffic } from '../../runtime/transport/transport.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import { quantile } from '../../soap/quantile.ts';

/** First iterations, which compile and warm up, left out of the times. */
const WARM_UP_STEPS = 3;

/** What `soapstone run --output json` prints. */
export interface RunResult {
  readonly job: string;
  readonly devices: readonly string[];
  readonly strategy: string;
  readonly steps: number;
  /** One that is no number is null in JSON. */
  readonly losses: readonly number[];
  /** Whether the last loss is no number; where no step was left, that of the run before. */
  readonly diverged: boolean;
  readonly evaluation: { readonly loss: number; readonly accuracy: number | undefined } | undefined;
  readonly samplesPerSecond: number;
  readonly iterationMs: { readonly median: number; readonly p95: number };
  readonly predictedIterationMs: number;
  /** Which op, device or link it is due to where these two part by more than a quarter: a clause. */
  readonly offBecause: string | undefined;
  /** All tensor bytes that left a device. */
  readonly transferredBytes: number;
  /** What the ways between devices carried before the first step, beside what the plan takes them to carry. */
  readonly links: readonly RunLink[];
  readonly metrics: string | undefined;
  readonly model: string | undefined;
  readonly checkpoint: string | undefined;
  /** Where the run was stopped early: after so many steps in all. */
  readonly stopped: { readonly step: number } | undefined;
}

/** The way from one device to another; bytes per second. */
export interface RunLink {
  readonly from: number;
  readonly to: number;
  readonly measured: number;
  readonly planned: number;
}

/** Gathers the events of a run. */
export class RunRecord {
  readonly losses: number[] = [];
  /** Whether nothing was left to train, and the run before ended with a loss that is no number. */
  #endedDiverged = false;
  steps = 0;
  firstStep = 0;
  metrics: string | undefined;
  #model: string | undefined;
  #checkpoint: string | undefined;
  #evaluation: { loss: number; accuracy: number | undefined } | undefined;
  readonly #iterationSeconds: number[] = [];
  readonly #links: RunLink[] = [];
  readonly #paces = new DevicePaces();
  readonly #traffic = new Map<number, readonly (readonly [number, PeerTraffic])[]>();

  observe(device: number, event: DeviceEvent): void {
    this.#paces.observe(device, event);
    if (event.type === 'ready') {
      [this.steps, this.firstStep] = [event.steps, event.firstStep];
      this.#endedDiverged = event.endedDiverged === true;
    } else if (event.type === 'links') {
      for (const { peer, bytesPerSec, plannedBytesPerSec } of event.links)
        this.#links.push({ from: device, to: peer, measured: bytesPerSec, planned: plannedBytesPerSec });
    } else if (event.type === 'model') this.#model = event.path;
    else if (event.type === 'checkpoint') this.#checkpoint = event.path;
    else if (event.type === 'evaluation') this.#evaluation = { loss: event.loss, accuracy: event.accuracy };
    else if (event.type === 'step') {
      this.#traffic.set(device, event.traffic);
      if (event.loss === undefined) return;
      this.losses.push(event.loss);
      this.#iterationSeconds.push(event.iterationSeconds);
    }
  }

  result(job: TrainingJob, plan: Plan, stopped?: RunResult['stopped']): RunResult {
    const steady = this.#iterationSeconds.slice(this.#iterationSeconds.length > WARM_UP_STEPS ? WARM_UP_STEPS : 0);
    const median = 1000 * (quantile(steady, 0.5) ?? 0);
    const links = this.#links.map(({ from, to, measured, planned }) => ({
      from,
      to,
      measuredBytesPerSec: measured,
      plannedBytesPerSec: planned,
    }));
    const sent = [...this.#traffic.values()].flat().map(([, { sentBytes }]) => sentBytes);
    return {
      job: job.metadata.name,
      devices: plan.cluster.devices.map(({ name }) => name),
      strategy: plan.origin,
      steps: this.losses.length,
      losses: this.losses,
      diverged: this.losses.length > 0 ? !Number.isFinite(this.losses.at(-1)) : this.#endedDiverged,
      evaluation: this.#evaluation,
      samplesPerSecond: this.losses.length === 0 ? 0 : (1000 * job.spec.training.batchSize) / median,
      iterationMs: { median, p95: 1000 * (quantile(steady, 0.95) ?? 0) },
      predictedIterationMs: plan.prediction.iterationMs,
      offBecause: this.#paces.whyOff(plan, median, links),
      transferredBytes: sent.reduce((a, b) => a + b, 0),
      links: this.#links.toSorted((a, b) => a.from - b.from || a.to - b.to),
      metrics: this.metrics,
      model: this.#model,
      checkpoint: this.#checkpoint,
      stopped,
    };
  }
}
