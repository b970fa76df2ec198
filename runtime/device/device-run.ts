import type { Model } from '../../soap/graph/graph.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { microBatchSize } from '../../soap/job/training-job.ts';
import type { Plan } from '../../soap/plan/plan.ts';
import type { TakenUp } from '../checkpoint/checkpointing.ts';
import { Checkpointing } from '../checkpoint/checkpointing.ts';
import { runIdentity } from '../checkpoint/identity.ts';
import type { Dataset } from '../data/dataset.ts';
import type { RunSettings } from '../checkpoint/run-settings.ts';
import { SampleOrder } from '../data/sample-order.ts';
import { storagePath } from '../storage/storage-path.ts';
import type { ChosenEngine } from '../kernels/create-engine.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import { learningRateAt } from '../optimizers/learning-rate.ts';
import type { Rows } from '../program/batch-loader.ts';
import { BatchLoader } from '../program/batch-loader.ts';
import { Conductor } from '../program/conductor.ts';
import type { DeviceProgram } from '../program/device-program.ts';
import type { PartialResult } from '../program/evaluation.ts';
import { judgesCorrect, NOTHING, partialResult, sumOf } from '../program/evaluation.ts';
import type { OpClock } from '../program/op-clock.ts';
import type { Recorder } from '../program/recorder.ts';
import { RunningMoments } from '../program/running-moments.ts';
import type { TimedTransport } from '../transport/timed.ts';
import type { PeerTraffic, Transport } from '../transport/transport.ts';
import type { DeviceEvent, DeviceOrders } from './events.ts';
import type { PlannedWork } from '../program/planned-work.ts';
import { predictedTimes } from '../program/planned-work.ts';
import { stepCount } from './step-count.ts';
import { saveTrainedModel } from './trained-model.ts';

/** Passes from one telling of the op that parts most from its prediction to the next: it takes as long as a look at every task. */
const OP_PACE_EVERY_PASSES = 16;

/** What a device runs with. */
export interface DeviceRunOptions {
  readonly job: TrainingJob;
  readonly orders: DeviceOrders;
  readonly training: TrainingGraph;
  /** What a checkpoint says of the job beside what must be the same. */
  readonly settings: RunSettings;
  /** Without the initial weights, which are not to stay in memory. */
  readonly model: Omit<Model, 'weights'>;
  readonly work: PlannedWork;
  readonly dataset: Dataset;
  readonly evaluation: Dataset | undefined;
  readonly transport: Transport;
  /** The same as the program has it: without what the conductor says. */
  readonly timed: TimedTransport;
  readonly provider: ChosenEngine['provider'];
  readonly engine: KernelEngine;
  readonly program: DeviceProgram;
  readonly recorder: Recorder | undefined;
  readonly clock: OpClock;
  readonly plan: Plan;
  /** What went over links to measure them, by peer. */
  readonly probed: ReadonlyMap<number, PeerTraffic>;
  readonly report: (event: DeviceEvent) => void;
}

/** The steps of a job on one device. Every device walks through the same passes in the same order. */
export class DeviceRun {
  readonly #options: DeviceRunOptions;
  readonly #conductor: Conductor;
  readonly #order: SampleOrder;
  readonly #loader: BatchLoader;
  readonly #moments: RunningMoments;
  /** Undefined where the job asks for none. */
  readonly #checkpoints: Checkpointing | undefined;
  #pass = 0;
  /** Steps done. */
  #done = 0;
  /** Steps done when a checkpoint was last written, whether that went well or not; the same on all devices. */
  #triedAt = -1;
  /** Steps of the last checkpoint that there is; known on the leader. */
  #savedAt = -1;
  /** Whether the newest loss is no number; known on the leader. */
  #isDiverged = false;
  /** Results on their way to the leader; the first failure ends the run. */
  #reporting: Promise<void> = Promise.resolve();

  constructor(options: DeviceRunOptions) {
    const { job, training, model, work, dataset, engine, program, transport } = options;
    const { batchSize, seed } = job.spec.training;
    this.#options = options;
    this.#conductor = new Conductor(transport, work.tasks);
    this.#order = new SampleOrder(dataset.samples, batchSize, job.spec.dataset.shuffle ? seed : undefined);
    this.#loader = new BatchLoader(training.graph, dataset, program.dataInputs, engine);
    this.#moments = new RunningMoments(training.graph, model.moments);
    this.#checkpoints = this.#checkpointing();
  }

  /** What this device is at, for errors. */
  get where(): string {
    return `step ${this.#done + 1}`;
  }

  /** Ends the run early; see {@link Conductor.requestStop}. */
  requestStop(): void {
    this.#conductor.requestStop();
  }

  async run(): Promise<void> {
    const { job, dataset, orders, work, plan, training, provider, report } = this.#options;
    const steps = stepCount(job.spec.training, dataset.samples);
    const takenUp = await this.#resume();
    if (takenUp !== undefined) this.#done = this.#triedAt = this.#savedAt = takenUp.step;
    const predicted = predictedTimes(work, orders.device, training.graph, plan.ops);
    const endedDiverged = this.#done >= steps && takenUp?.isDiverged === true;
    report({ type: 'ready', steps, firstStep: this.#done, endedDiverged, provider, predicted });
    if (takenUp !== undefined && this.#done >= steps) await this.#finishOver(takenUp, steps);
    while (this.#done < steps) {
      await this.#conductor.keepPace();
      if (this.#conductor.stops) return this.#stop();
      await this.#train(this.#done, steps);
      this.#done += 1;
      const { checkpoint, evaluation } = job.spec;
      const isLast = this.#done === steps;
      if (evaluation?.everySteps !== undefined && this.#done % evaluation.everySteps === 0 && !isLast)
        await this.#evaluate(this.#done);
      if (checkpoint !== undefined && (this.#done % checkpoint.everySteps === 0 || isLast))
        await this.#save(this.#done, isLast);
    }
    if (!(await this.#evaluate(this.#done))) return this.#stop();
    await this.#settle();
    report({ type: 'done' });
  }

  /** The end of a run that was asked to stop: all devices are here after the same step. */
  async #stop(): Promise<void> {
    const { job, report } = this.#options;
    if (job.spec.checkpoint !== undefined && !(await this.#isSaved())) await this.#save(this.#done, false);
    await this.#settle();
    report({ type: 'stopped', step: this.#done });
  }

  /** Whether all that is done is in a checkpoint, or not to be in one since the loss is no number. The same on every device. */
  async #isSaved(): Promise<boolean> {
    if (this.#triedAt !== this.#done) return false;
    return this.#conductor.agree(this.#pass++, this.#savedAt === this.#done || this.#isDiverged);
  }

  async #settle(): Promise<void> {
    this.#reportSpans();
    await this.#reporting;
    await this.#conductor.keepPace(true);
  }

  async #train(step: number, steps: number): Promise<void> {
    const { program, training, job, recorder, clock } = this.#options;
    const { optimizer } = job.spec.training;
    const more = step + 1 < steps;
    const startMs = performance.now();
    recorder?.begin(step);
    const learningRate = learningRateAt(optimizer, step, steps);
    const batches = this.#microBatches(step);
    const next = more ? this.#microBatches(step + 1)[0] : undefined;
    let result: PartialResult = NOTHING;
    let pass = 0;
    for (const [microBatch, rows] of batches.entries()) {
      const loadMs = performance.now();
      await this.#loader.load(rows, batches[microBatch + 1] ?? next);
      recorder?.record('load', [], loadMs);
      pass = this.#pass++;
      await program.train(pass, { step, learningRate, microBatch });
      this.#moments.update(program);
      clock.endPass();
      result = sumOf(result, partialResult(training, program, rows.length));
    }
    const endMs = performance.now();
    const iterationSeconds = (endMs - startMs) / 1000;
    const doneMs = performance.timeOrigin + endMs;
    recorder?.record('step', [], startMs);
    if (recorder?.isLast === true) this.#reportSpans();
    const [times, collectiveSeconds] = [{ ...program.times }, program.collectiveSeconds];
    const traffic = [...trafficSince(this.#options.probed, this.#options.transport.traffic())];
    const awaited = [...this.#options.timed.awaitedSeconds()];
    const farthestOp = this.#pass % OP_PACE_EVERY_PASSES === 0 ? clock.farthest() : undefined;
    await this.#inBackground(pass, result, (total) => {
      const loss = total && total.lossSum / total.lossCount;
      if (total !== undefined && total.lossCount > 0) this.#watchLoss(step, total.lossSum);
      this.#options.report({
        type: 'step',
        step,
        loss,
        iterationSeconds,
        doneMs,
        ...times,
        collectiveSeconds,
        farthestOp,
        traffic,
        awaited,
      });
    });
  }

  #watchLoss(step: number, loss: number): void {
    const isDiverged = !Number.isFinite(loss);
    if (isDiverged && !this.#isDiverged) this.#options.report({ type: 'notice', message: divergence(step, loss) });
    this.#isDiverged = isDiverged;
  }

  /** The rows of a step, a micro-batch after the other. */
  #microBatches(step: number): Rows[] {
    const { training } = this.#options.job.spec;
    const [rows, samples] = [this.#order.rows(step), microBatchSize(training)];
    return Array.from({ length: training.gradientAccumulationSteps }, (_, i) =>
      rows.slice(i * samples, (i + 1) * samples),
    );
  }

  #reportSpans(): void {
    const spans = this.#options.recorder?.take() ?? [];
    if (spans.length > 0) this.#options.report({ type: 'spans', spans });
  }

  /** Hands a result in without waiting for it; first waits for the one before, whose failure ends the run here. */
  async #inBackground(
    pass: number,
    result: PartialResult,
    then: (total: PartialResult | undefined) => void,
  ): Promise<void> {
    await this.#reporting;
    this.#reporting = this.#conductor.gather(pass, result).then(then);
    this.#reporting.catch(() => undefined);
  }

  /** Returns whether all of it was done that the job asks for: a run that is to stop does not wait for the end. */
  async #evaluate(step: number): Promise<boolean> {
    const { evaluation, engine, program, training, job, report } = this.#options;
    if (evaluation === undefined) return true;
    const batchSize = microBatchSize(job.spec.training);
    const { graph } = training;
    const loader = new BatchLoader(graph, evaluation, program.dataInputs, engine);
    const order = new SampleOrder(evaluation.samples, batchSize, undefined);
    const batches = Math.ceil(evaluation.samples / batchSize);
    let total: PartialResult = NOTHING;
    for (let batch = 0; batch < batches; batch++) {
      await this.#conductor.keepPace();
      if (this.#conductor.stops) return false;
      await loader.load(order.rows(batch), batch + 1 < batches ? order.rows(batch + 1) : undefined);
      const pass = this.#pass++;
      await program.infer(pass, this.#moments.moments);
      const part = partialResult(training, program, Math.min(batchSize, evaluation.samples - batch * batchSize));
      await this.#inBackground(pass, part, (sum) => (total = sum === undefined ? total : sumOf(total, sum)));
    }
    await this.#reporting;
    if (!this.#conductor.isLeader) return true;
    const accuracy = judgesCorrect(training) ? total.correct / total.lossCount : undefined;
    report({ type: 'evaluation', step, loss: total.lossSum / total.lossCount, accuracy });
    return true;
  }

  #checkpointing(): Checkpointing | undefined {
    const { job, orders, work, dataset, program, report } = this.#options;
    const { checkpoint, model } = job.spec;
    return (
      checkpoint &&
      new Checkpointing({
        directory: storagePath(orders.checkpointStorage ?? orders.storage, checkpoint.directory),
        keep: checkpoint.keep,
        device: orders.device,
        devices: work.tasks.deviceCount,
        layout: work.layout,
        parameters: program.parameters,
        moments: this.#moments.moments,
        conductor: this.#conductor,
        run: runIdentity(job.spec, this.#options.training, dataset.samples),
        settings: this.#options.settings,
        source: model,
        notice: (message) => report({ type: 'notice', message }),
      })
    );
  }

  async #save(step: number, last: boolean): Promise<void> {
    const startMs = performance.now();
    // The loss of the step itself is to be known.
    await this.#reporting;
    const path = await this.#checkpoints?.save(this.#pass++, step, last, !this.#isDiverged);
    this.#triedAt = step;
    if (path === undefined) return;
    this.#savedAt = step;
    this.#options.report({ type: 'checkpoint', step, path, seconds: (performance.now() - startMs) / 1000 });
    if (last) await this.#saveTrainedModel(path);
  }

  /** Of a run that has nothing left to train: does what the one before may have left undone amid its last checkpoint. */
  async #finishOver({ folder, step }: TakenUp, steps: number): Promise<void> {
    const { report } = this.#options;
    if (this.#conductor.isLeader)
      report({
        type: 'notice',
        message:
          `nothing is left to train: ${folder} is after ${step} steps, and the job has ${steps}; to train anew, choose another ` +
          'checkpoint.directory',
      });
    await this.#saveTrainedModel(folder);
  }

  async #saveTrainedModel(checkpoint: string): Promise<void> {
    if (!this.#conductor.isLeader) return;
    const { model, report } = this.#options;
    for (const event of await saveTrainedModel(checkpoint, model.graph)) report(event);
  }

  /** Takes up the newest checkpoint, if there is one. */
  async #resume(): Promise<TakenUp | undefined> {
    return this.#checkpoints?.begin(this.#pass++, this.#options.orders.resume);
  }
}

/** What to do about a loss that is no number. @param step from 0 */
function divergence(step: number, loss: number): string {
  if (step === 0)
    return (
      `the loss of step 1 is ${loss}, before anything was trained: the samples, or the weights that the model begins with, have values that are ` +
      'no numbers, or far too large; stop, and look at both'
    );
  return (
    `the loss of step ${step + 1} is ${loss}: training has diverged; while it is so no checkpoint is written but the last, and those ` +
    'before stay; stop, lower training.optimizer.learningRate or set gradientClipNorm, and go on from them'
  );
}

/** By peer: what was sent and received since some moment. */
function* trafficSince(
  before: ReadonlyMap<number, PeerTraffic>,
  now: ReadonlyMap<number, PeerTraffic>,
): Generator<readonly [number, PeerTraffic]> {
  for (const [peer, { sentBytes, receivedBytes, heldBytes }] of now) {
    const { sentBytes: sent = 0, receivedBytes: received = 0 } = before.get(peer) ?? {};
    yield [peer, { sentBytes: sentBytes - sent, receivedBytes: receivedBytes - received, heldBytes }];
  }
}
