import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { DeviceEvent, StepEvent } from '../worker/events.ts';

/** Iterations take from a fraction of a millisecond to minutes. */
const ITERATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Weight of the newest iteration in the throughput gauge. */
const SMOOTHING = 0.1;

export interface RuntimeMetricsOptions {
  readonly job: string;
  readonly batchSize: number;
  readonly predictedIterationMs: number;
}

/**
 * The metrics of a training process. Names follow https://prometheus.io/docs/practices/naming/ : base units, `_total` for
 * counters. Labels: `device` and `peer`, bounded by the devices of the job.
 */
export class RuntimeMetrics {
  readonly registry: Registry = new Registry();
  readonly #batchSize: number;
  readonly #startMs = performance.now();
  readonly #step: Gauge;
  readonly #steps: Gauge;
  readonly #startup: Gauge;
  readonly #checkpointStep: Gauge;
  readonly #checkpointSeconds: Gauge;
  readonly #loss: Gauge;
  readonly #samplesPerSecond: Gauge;
  readonly #accuracy: Gauge;
  readonly #iteration: Histogram<'device'>;
  readonly #compute: Counter<'device'>;
  readonly #wait: Counter<'device'>;
  readonly #sent: Counter<'device' | 'peer'>;
  readonly #received: Counter<'device' | 'peer'>;
  /** Totals already counted, since devices report totals and counters take differences. */
  readonly #counted = new Map<string, number>();
  #smoothedSeconds: number | undefined;

  constructor({ job, batchSize, predictedIterationMs }: RuntimeMetricsOptions) {
    const { registry } = this;
    const registers = [registry];
    registry.setDefaultLabels({ job_name: job });
    collectDefaultMetrics({ register: registry });
    const gauge = (name: string, help: string): Gauge => new Gauge({ name, help, registers });
    this.#batchSize = batchSize;
    this.#step = gauge('soapstone_step', 'Training steps done.');
    this.#steps = gauge('soapstone_steps', 'Training steps of the whole job.');
    this.#startup = gauge('soapstone_startup_seconds', 'From the start of the worker to the end of its first step.');
    this.#checkpointStep = gauge('soapstone_checkpoint_step', 'Training steps in the newest checkpoint.');
    this.#checkpointSeconds = gauge('soapstone_checkpoint_seconds', 'How long writing the newest checkpoint took.');
    this.#loss = gauge('soapstone_loss', 'Mean loss of the last step.');
    this.#samplesPerSecond = gauge('soapstone_samples_per_second', 'Training throughput, smoothed over recent steps.');
    this.#accuracy = gauge('soapstone_evaluation_accuracy_ratio', 'Share of right answers in the last evaluation.');
    gauge('soapstone_predicted_iteration_seconds', "The plan's predicted iteration time.").set(
      predictedIterationMs / 1000,
    );
    this.#iteration = new Histogram({
      name: 'soapstone_iteration_seconds',
      help: 'Time of a training iteration.',
      labelNames: ['device'],
      buckets: ITERATION_BUCKETS_SECONDS,
      registers,
    });
    const counter = <L extends string>(name: string, help: string, labelNames: L[]): Counter<L> =>
      new Counter({ name, help, labelNames, registers });
    this.#compute = counter('soapstone_device_compute_seconds_total', 'Time in kernels.', ['device']);
    this.#wait = counter('soapstone_device_wait_seconds_total', 'Time waiting for other devices.', ['device']);
    this.#sent = counter('soapstone_sent_bytes_total', 'Tensor bytes sent to a peer.', ['device', 'peer']);
    this.#received = counter('soapstone_received_bytes_total', 'Tensor bytes received from a peer.', [
      'device',
      'peer',
    ]);
  }

  /** Takes in what a device reports. */
  observe(device: number, event: DeviceEvent): void {
    if (event.type === 'step') this.#observeStep(String(device), event);
    if (event.type === 'ready') this.#begin(event.steps, event.firstStep);
    if (event.type === 'checkpoint') {
      this.#checkpointStep.set(event.step);
      this.#checkpointSeconds.set(event.seconds);
    }
    if (event.type === 'evaluation' && event.accuracy !== undefined) this.#accuracy.set(event.accuracy);
  }

  #begin(steps: number, firstStep: number): void {
    this.#steps.set(steps);
    this.#step.set(firstStep);
    this.#checkpointStep.set(firstStep);
  }

  #observeStep(device: string, event: StepEvent): void {
    this.#iteration.observe({ device }, event.iterationSeconds);
    this.#compute.inc({ device }, this.#difference(`compute ${device}`, event.computeSeconds));
    this.#wait.inc({ device }, this.#difference(`wait ${device}`, event.waitSeconds));
    for (const [id, { sentBytes, receivedBytes }] of event.traffic) {
      const labels = { device, peer: String(id) };
      this.#sent.inc(labels, this.#difference(`sent ${device} ${id}`, sentBytes));
      this.#received.inc(labels, this.#difference(`received ${device} ${id}`, receivedBytes));
    }
    if (event.loss === undefined) return;
    this.#step.set(event.step + 1);
    this.#loss.set(event.loss);
    if (this.#smoothedSeconds === undefined) this.#startup.set((performance.now() - this.#startMs) / 1000);
    const before = this.#smoothedSeconds ?? event.iterationSeconds;
    this.#smoothedSeconds = before + SMOOTHING * (event.iterationSeconds - before);
    this.#samplesPerSecond.set(this.#batchSize / this.#smoothedSeconds);
  }

  #difference(key: string, total: number): number {
    const difference = total - (this.#counted.get(key) ?? 0);
    this.#counted.set(key, total);
    return Math.max(0, difference);
  }
}
