import { dirname, join } from 'node:path';
import type { Cluster } from '../../soap/cluster/cluster.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { microBatchSize } from '../../soap/job/training-job.ts';
import { FileError } from '../../soap/schema/check.ts';
import { graphFingerprint } from '../../soap/strategy/fingerprint.ts';
import type { Plan } from '../../soap/strategy/plan-file.ts';
import { decodePlan, resolvePlan } from '../../soap/strategy/plan-file.ts';
import { Checkpointing } from '../checkpoint/checkpointing.ts';
import { exportCheckpoint } from '../checkpoint/export-model.ts';
import { RunningMoments } from '../program/running-moments.ts';
import { shareGradients } from '../collectives/shared-gradients.ts';
import type { Dataset } from '../data/dataset.ts';
import { openDataset } from '../data/dataset.ts';
import { SampleOrder } from '../data/sample-order.ts';
import { storagePath } from '../data/storage-path.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import { createKernelEngine } from '../kernels/create-engine.ts';
import { learningRateAt } from '../optimizers/learning-rate.ts';
import type { Rows } from '../program/batch-loader.ts';
import { BatchLoader } from '../program/batch-loader.ts';
import { Conductor } from '../program/conductor.ts';
import { DeviceProgram } from '../program/device-program.ts';
import { OpClock } from '../program/op-clock.ts';
import type { PartialResult } from '../program/evaluation.ts';
import { judgesCorrect, NOTHING, partialResult, sumOf } from '../program/evaluation.ts';
import { measureLinks } from '../profile/measure-links.ts';
import type { TimedTransport } from '../transport/timed.ts';
import { timedTransport } from '../transport/timed.ts';
import { Recorder } from '../program/recorder.ts';
import type { PeerTraffic, Transport } from '../transport/transport.ts';
import { connectWebSocketTransport } from '../transport/websocket.ts';
import type { DeviceEvent, DeviceOrders } from './events.ts';
import type { LoadedModel, PlannedWork } from './load-job.ts';
import { keepToOwnCores } from './own-cores.ts';
import { loadModel, planWork, predictedTimes, stepCount } from './load-job.ts';

/** Passes from one telling of the op that parts most from its prediction to the next: it takes as long as a look at every task. */
const OP_PACE_EVERY_PASSES = 16;

/** Name of the trained model in the checkpoint directory. */
const TRAINED_MODEL = 'trained.onnx';

/**
 * Runs one device's share of a job, from its orders to the end.
 * @param stop ends the run early: after the step that all devices can still agree on, with a checkpoint
 */
export async function runDevice(
  orders: DeviceOrders,
  report: (event: DeviceEvent) => void,
  stop: AbortSignal,
): Promise<void> {
  keepToOwnCores({ index: orders.gpu, of: orders.devicesHere });
  const parsed = parseTrainingJob(orders.job);
  if ('problems' in parsed) throw new FileError('the job', parsed.problems);
  const { job } = parsed;
  const loaded = await loadModel(job, orders.storage);
  const plan = decodePlan(orders.plan);
  const { strategy, cluster } = resolvePlan(plan, loaded.training.graph);
  const { wire } = job.spec.training;
  const work = planWork(loaded.training, strategy, cluster, { ...plan.training, wire });
  const dataset = await openDataset(job.spec.dataset, orders.storage, loaded.training.graph);
  const evaluation =
    job.spec.evaluation && (await openDataset(job.spec.evaluation.dataset, orders.storage, loaded.training.graph));
  const { provider, engine } = createKernelEngine(job.spec.training.kernels, {
    ...orders,
    spins: orders.peers.length === 1,
  });
  const transport = await connect(orders);
  const timed = timedTransport(transport);
  const { device } = orders;
  await reportLinks(transport, cluster, report);
  const probed = new Map(transport.traffic());
  if (provider !== 'cpu' && device === 0) report({ type: 'notice', message: `kernels run by ${engine.name}` });
  const recorder = orders.record && new Recorder(orders.record);
  // What is read where it lies is not rounded on the way.
  const neighbours = wire === 'bfloat16' ? new Set<number>() : neighboursOf(orders);
  const computesOnHost = engine.adopt !== undefined;
  const sharedGradients = await shareGradients({ tasks: work.tasks, transport: timed, neighbours, computesOnHost });
  const clock = new OpClock(work.tasks, loaded.training.graph, device, plan.ops);
  const program = new DeviceProgram({
    ...work,
    training: loaded.training,
    order: work.orders[device]!,
    device,
    engine,
    transport: timed,
    optimizer: job.spec.training.optimizer,
    wire,
    sharedGradients,
    weights: loaded.model.weights,
    recorder,
    clock,
  });
  const run = new DeviceRun({
    job,
    orders,
    loaded,
    work,
    dataset,
    evaluation,
    transport,
    timed,
    engine,
    program,
    recorder,
    clock,
    plan,
    probed,
    report,
  });
  stop.addEventListener('abort', () => run.requestStop());
  if (stop.aborted) run.requestStop();
  transport.ready();
  try {
    await run.run();
  } catch (error) {
    const failure = new Error(`${run.where}: ${error instanceof Error ? error.message : String(error)}`, {
      cause: error,
    });
    // First of all: the peers are to hear it before this device tidies up.
    await transport.close(failure.message);
    throw failure;
  } finally {
    // The peers hear the goodbye before anything is torn down.
    await transport.close();
    program.release();
    engine.close();
    await dataset.close();
    await evaluation?.close();
  }
}

/** The devices that are processes of this pod. */
function neighboursOf({ device, peers }: DeviceOrders): Set<number> {
  const node = peers.find(({ device: id }) => id === device)?.node;
  return new Set(peers.filter((peer) => peer.node === node).map(({ device: id }) => id));
}

/** Measures the ways to other devices before there is anything else on them. */
async function reportLinks(
  transport: Transport,
  cluster: Cluster,
  report: (event: DeviceEvent) => void,
): Promise<void> {
  const measured = await measureLinks(
    transport,
    cluster.devices.map(({ node }) => node),
  );
  if (measured.length === 0) return;
  const links = measured.map((link) => ({
    ...link,
    plannedBytesPerSec: cluster.path(transport.self, link.peer).bandwidthBytesPerSec,
  }));
  report({ type: 'links', links });
}

function connect(orders: DeviceOrders): Promise<Transport> {
  const { device, peers, listenHost, connectTimeoutMs, tls, ...secret } = orders;
  const addresses = new Map(peers.map(({ device: id, host, port }) => [id, { host, port }]));
  const own = addresses.get(device);
  const neighbours = neighboursOf(orders);
  if (own === undefined) throw new Error(`internal: device ${device} is not among its peers`);
  addresses.delete(device);
  const listen = { host: listenHost, port: own.port };
  const { token, session } = secret;
  const options = { self: device, token, session, peers: addresses, neighbours, listen, connectTimeoutMs };
  return connectWebSocketTransport(tls === undefined ? options : { ...options, tls });
}

interface DeviceRunOptions {
  readonly job: TrainingJob;
  readonly orders: DeviceOrders;
  readonly loaded: LoadedModel;
  readonly work: PlannedWork;
  readonly dataset: Dataset;
  readonly evaluation: Dataset | undefined;
  readonly transport: Transport;
  /** The same as the program has it: without what the conductor says. */
  readonly timed: TimedTransport;
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
class DeviceRun {
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
  #savedAt = -1;
  /** Results on their way to the leader; the first failure ends the run. */
  #reporting: Promise<void> = Promise.resolve();

  constructor(options: DeviceRunOptions) {
    const { job, loaded, work, dataset, engine, program, transport } = options;
    const { batchSize, seed } = job.spec.training;
    this.#options = options;
    this.#conductor = new Conductor(transport, work.tasks);
    this.#order = new SampleOrder(dataset.samples, batchSize, job.spec.dataset.shuffle ? seed : undefined);
    this.#loader = new BatchLoader(loaded.training.graph, dataset, program.dataInputs, engine);
    this.#moments = new RunningMoments(loaded.training.graph, loaded.model.moments);
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
    const { job, dataset, orders, work, plan, loaded, report } = this.#options;
    const steps = stepCount(job.spec.training, dataset.samples);
    this.#done = await this.#resume();
    const predicted = predictedTimes(work, orders.device, loaded.training.graph, plan.ops);
    report({ type: 'ready', steps, firstStep: this.#done, predicted });
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
    if (job.spec.evaluation !== undefined) await this.#evaluate(steps);
    await this.#conductor.keepPace();
    if (this.#conductor.stops) return this.#stop();
    await this.#settle();
    report({ type: 'done' });
  }

  /** The end of a run that was asked to stop: all devices are here after the same step. */
  async #stop(): Promise<void> {
    const { job, report } = this.#options;
    if (job.spec.checkpoint !== undefined && this.#savedAt !== this.#done) await this.#save(this.#done, false);
    await this.#settle();
    report({ type: 'stopped', step: this.#done });
  }

  async #settle(): Promise<void> {
    this.#reportSpans();
    await this.#reporting;
    await this.#conductor.keepPace(true);
  }

  async #train(step: number, steps: number): Promise<void> {
    const { program, loaded, job, recorder, clock } = this.#options;
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
      result = sumOf(result, partialResult(loaded.training, program, rows.length));
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

  async #evaluate(step: number): Promise<void> {
    const { evaluation, engine, program, loaded, job, report } = this.#options;
    if (evaluation === undefined) return;
    const batchSize = microBatchSize(job.spec.training);
    const { graph } = loaded.training;
    const loader = new BatchLoader(graph, evaluation, program.dataInputs, engine);
    const order = new SampleOrder(evaluation.samples, batchSize, undefined);
    const batches = Math.ceil(evaluation.samples / batchSize);
    let total: PartialResult = NOTHING;
    for (let batch = 0; batch < batches; batch++) {
      await this.#conductor.keepPace();
      if (this.#conductor.stops) return;
      await loader.load(order.rows(batch), batch + 1 < batches ? order.rows(batch + 1) : undefined);
      const pass = this.#pass++;
      await program.infer(pass, this.#moments.moments);
      const part = partialResult(loaded.training, program, Math.min(batchSize, evaluation.samples - batch * batchSize));
      await this.#inBackground(pass, part, (sum) => (total = sum === undefined ? total : sumOf(total, sum)));
    }
    await this.#reporting;
    if (!this.#conductor.isLeader) return;
    const accuracy = judgesCorrect(loaded.training) ? total.correct / total.lossCount : undefined;
    report({ type: 'evaluation', step, loss: total.lossSum / total.lossCount, accuracy });
  }

  #checkpointing(): Checkpointing | undefined {
    const { job, orders, loaded, work, dataset, program, report } = this.#options;
    const { checkpoint, training, model } = job.spec;
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
        run: {
          model: graphFingerprint(loaded.training.graph),
          optimizer: training.optimizer.name,
          seed: training.seed,
          samples: dataset.samples,
          shuffle: job.spec.dataset.shuffle,
          batchSize: training.batchSize,
          gradientAccumulationSteps: training.gradientAccumulationSteps,
        },
        source: model,
        notice: (message) => report({ type: 'notice', message }),
      })
    );
  }

  async #save(step: number, last: boolean): Promise<void> {
    const startMs = performance.now();
    const path = await this.#checkpoints?.save(this.#pass++, step, last);
    this.#savedAt = step;
    if (path === undefined) return;
    this.#options.report({ type: 'checkpoint', step, path, seconds: (performance.now() - startMs) / 1000 });
    if (last) await this.#saveModel(path);
  }

  /** Writes the trained model beside the checkpoint that it is read from. */
  async #saveModel(folder: string): Promise<void> {
    const path = join(dirname(folder), TRAINED_MODEL);
    await exportCheckpoint(folder, this.#options.loaded.model.graph, path);
    this.#options.report({ type: 'model', path });
  }

  /** Takes up the newest checkpoint, if there is one. Returns the first step to train. */
  async #resume(): Promise<number> {
    return (await this.#checkpoints?.begin(this.#pass++, this.#options.orders.resume)) ?? 0;
  }
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
