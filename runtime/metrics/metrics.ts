import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { createCluster } from '../../soap/cluster/topology.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { DeviceEvent, ReadyEvent, StepEvent } from '../device/events.ts';
import type { OpPace } from '../program/op-clock.ts';
import { pathClasses } from './path-classes.ts';
import type { RuntimeMetricName } from './metric-names.ts';
import { RUNTIME_METRICS } from './metric-names.ts';
import { setPlanMetrics } from './plan-metrics.ts';

/** Iterations take from a fraction of a millisecond to minutes. */
const ITERATION_BUCKETS_SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/** Weight of the newest iteration in the throughput gauge. */
const SMOOTHING = 0.1;

/** Of a job with more devices, series by peer would be as many as the square of them. */
const MAX_PEERS = 32;

/** The label of all peers together. */
const ALL_PEERS = 'all';

/** The device that hears of every other, and tells what is known once for a job. */
const LEADER = 0;

export interface RuntimeMetricsOptions {
  readonly job: string;
  readonly batchSize: number;
  readonly plan: Plan;
  /** The devices of this process. */
  readonly devices: readonly number[];
}

/**
 * The metrics of a training process. Names follow https://prometheus.io/docs/practices/naming/ : base units, `_total` for
 * counters. What is one thing for the whole job comes from the process of the first device alone. How many series there are at
 * most is in docs/reference/metrics.md.
 */
export class RuntimeMetrics {
  readonly registry: Registry = new Registry();
  readonly #batchSize: number;
  readonly #startMs = performance.now();
  readonly #cluster: Cluster;
  readonly #linkClass: (from: number, to: number) => string;
  readonly #once = new Map<RuntimeMetricName, Gauge>();
  readonly #iteration: Histogram<'device'>;
  readonly #kernels = this.#gauge('soapstone_device_kernels_info', ['device', 'kernels']);
  readonly #compute = this.#counter('soapstone_device_compute_seconds_total', ['device']);
  readonly #wait = this.#counter('soapstone_device_wait_seconds_total', ['device']);
  readonly #collective = this.#counter('soapstone_device_collective_seconds_total', ['device']);
  readonly #predictedCompute = this.#gauge('soapstone_predicted_device_compute_seconds', ['device']);
  readonly #predictedCollective = this.#gauge('soapstone_predicted_device_collective_seconds', ['device']);
  readonly #farthestOp = this.#gauge('soapstone_farthest_op_seconds', ['device', 'op']);
  readonly #farthestOpPredicted = this.#gauge('soapstone_farthest_op_predicted_seconds', ['device', 'op']);
  /** The op that these tell of, by device. */
  readonly #farthestOps = new Map<string, string>();
  readonly #sent = this.#counter('soapstone_sent_bytes_total', ['device', 'peer']);
  readonly #received = this.#counter('soapstone_received_bytes_total', ['device', 'peer']);
  readonly #awaited = this.#counter('soapstone_peer_wait_seconds_total', ['device', 'peer']);
  readonly #linkMeasured = this.#gauge('soapstone_link_measured_bytes_per_second', ['device', 'peer']);
  readonly #linkPlanned = this.#gauge('soapstone_link_planned_bytes_per_second', ['device', 'peer']);
  readonly #sentByClass = this.#counter('soapstone_link_sent_bytes_total', ['device', 'link']);
  /** Totals already counted, since devices report totals and counters take differences. */
  readonly #counted = new Map<string, number>();
  #smoothedSeconds: number | undefined;

  constructor({ job, batchSize, plan, devices }: RuntimeMetricsOptions) {
    this.registry.setDefaultLabels({ job_name: job });
    collectDefaultMetrics({ register: this.registry });
    this.#batchSize = batchSize;
    this.#cluster = createCluster(plan.cluster);
    this.#linkClass = pathClasses(this.#cluster);
    this.#iteration = new Histogram({
      name: 'soapstone_iteration_seconds',
      help: RUNTIME_METRICS.soapstone_iteration_seconds,
      labelNames: ['device'],
      buckets: ITERATION_BUCKETS_SECONDS,
      registers: [this.registry],
    });
    this.#set('soapstone_predicted_iteration_seconds', plan.prediction.iterationMs / 1000);
    const info = this.#gauge('soapstone_device_info', ['device', 'name', 'node', 'type']);
    for (const device of devices) {
      const { name, node, type } = this.#cluster.devices[device]!;
      info.set({ device: String(device), name, node, type }, 1);
    }
    if (devices.includes(LEADER)) {
      const parts = this.#gauge('soapstone_op_parts', ['op', 'kind']);
      const degree = this.#gauge('soapstone_op_degree', ['op', 'dimension']);
      const placement = this.#gauge('soapstone_op_device_parts', ['op', 'device']);
      setPlanMetrics(plan, { parts, degree, placement });
    }
  }

  /** Takes in what a device reports. */
  observe(device: number, event: DeviceEvent): void {
    if (event.type === 'ready') this.#observeReady(device, event);
    if (event.type === 'step') this.#observeStep(device, event);
    if (event.type === 'links') {
      for (const { peer, bytesPerSec, plannedBytesPerSec } of event.links) {
        const labels = { device: String(device), peer: String(peer) };
        this.#linkMeasured.set(labels, bytesPerSec);
        this.#linkPlanned.set(labels, plannedBytesPerSec);
      }
    }
    if (event.type === 'checkpoint') {
      this.#set('soapstone_checkpoint_step', event.step);
      this.#set('soapstone_checkpoint_seconds', event.seconds);
    }
    if (event.type === 'evaluation' && event.accuracy !== undefined)
      this.#set('soapstone_evaluation_accuracy_ratio', event.accuracy);
  }

  #observeReady(device: number, { steps, firstStep, provider, predicted }: ReadyEvent): void {
    this.#kernels.set({ device: String(device), kernels: provider }, 1);
    this.#predictedCompute.set({ device: String(device) }, predicted.computeSeconds);
    this.#predictedCollective.set({ device: String(device) }, predicted.collectiveSeconds);
    if (device !== LEADER) return;
    this.#set('soapstone_steps', steps);
    this.#set('soapstone_step', firstStep);
    this.#set('soapstone_checkpoint_step', firstStep);
  }

  #observeStep(id: number, event: StepEvent): void {
    const device = String(id);
    this.#iteration.observe({ device }, event.iterationSeconds);
    this.#compute.inc({ device }, this.#difference(`compute ${device}`, event.computeSeconds));
    this.#wait.inc({ device }, this.#difference(`wait ${device}`, event.waitSeconds));
    this.#collective.inc({ device }, this.#difference(`collective ${device}`, event.collectiveSeconds));
    if (event.farthestOp !== undefined) this.#observeOp(device, event.farthestOp);
    this.#observeTraffic(id, event);
    if (event.loss === undefined) return;
    this.#set('soapstone_step', event.step + 1);
    this.#set('soapstone_loss', event.loss);
    if (this.#smoothedSeconds === undefined)
      this.#set('soapstone_startup_seconds', (performance.now() - this.#startMs) / 1000);
    const before = this.#smoothedSeconds ?? event.iterationSeconds;
    this.#smoothedSeconds = before + SMOOTHING * (event.iterationSeconds - before);
    this.#set('soapstone_samples_per_second', this.#batchSize / this.#smoothedSeconds);
  }

  /** One series for each device: the op that it told of before goes. */
  #observeOp(device: string, { op, seconds, predictedSeconds }: OpPace): void {
    const before = this.#farthestOps.get(device);
    if (before !== undefined && before !== op)
      for (const gauge of [this.#farthestOp, this.#farthestOpPredicted]) gauge.remove({ device, op: before });
    this.#farthestOps.set(device, op);
    this.#farthestOp.set({ device, op }, seconds);
    this.#farthestOpPredicted.set({ device, op }, predictedSeconds);
  }

  #observeTraffic(id: number, { traffic, awaited }: StepEvent): void {
    const device = String(id);
    for (const [peer, { sentBytes, receivedBytes }] of traffic) {
      const labels = { device, peer: this.#peerLabel(peer) };
      const sent = this.#difference(`sent ${device} ${peer}`, sentBytes);
      this.#sent.inc(labels, sent);
      this.#received.inc(labels, this.#difference(`received ${device} ${peer}`, receivedBytes));
      this.#sentByClass.inc({ device, link: this.#linkClass(id, peer) }, sent);
    }
    for (const [peer, seconds] of awaited) {
      const difference = this.#difference(`awaited ${device} ${peer}`, seconds);
      this.#awaited.inc({ device, peer: this.#peerLabel(peer) }, difference);
    }
  }

  #peerLabel(peer: number): string {
    return this.#cluster.devices.length > MAX_PEERS ? ALL_PEERS : String(peer);
  }

  #difference(key: string, total: number): number {
    const difference = total - (this.#counted.get(key) ?? 0);
    this.#counted.set(key, total);
    return Math.max(0, difference);
  }

  /** Sets what has no labels. Such a gauge would be 0 before it is set, so it is not there until then. */
  #set(name: RuntimeMetricName, value: number): void {
    let gauge = this.#once.get(name);
    if (gauge === undefined) this.#once.set(name, (gauge = this.#gauge(name, [])));
    gauge.set(value);
  }

  #gauge<L extends string>(name: RuntimeMetricName, labelNames: L[]): Gauge<L> {
    return new Gauge({ name, help: RUNTIME_METRICS[name], labelNames, registers: [this.registry] });
  }

  #counter<L extends string>(name: RuntimeMetricName, labelNames: L[]): Counter<L> {
    return new Counter({ name, help: RUNTIME_METRICS[name], labelNames, registers: [this.registry] });
  }
}
