import type { Moments } from '../../soap/graph/graph.ts';
import type { TrainingGraph } from '../../soap/graph/loss.ts';
import { OPTIMIZER_STATES } from '../../soap/job/optimizer-states.ts';
import type { OptimizerSettings, WireType } from '../../soap/job/training-job.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { regionVolume, sameRegion } from '../../soap/strategy/region.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import { spansOf } from '../../soap/tasks/liveness/spans.ts';
import { backwardPlaces } from '../../soap/tasks/gradient-terms.ts';
import type { ComputeTask, TaskGraph, TransferTask } from '../../soap/tasks/task-graph.ts';
import type { SharedGradients } from '../collectives/shared-gradients.ts';
import type { BoundKernel, KernelEngine, TensorBuffer, TensorMemory } from '../kernels/kernels.ts';
import { createOptimizer } from '../optimizers/optimizer.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import { wireElements } from '../wire/elements.ts';
import type { ComputeWork } from './compute-step.ts';
import { computeStep, fillsOf, readAfter } from './compute-step.ts';
import { controlTasks } from './control-tasks.ts';
import { batchElements, partialResult, someDoNotCount } from './evaluation.ts';
import { floats } from './assembly.ts';
import { Drafts, placed, placedMemory } from './drafts.ts';
import { Flow } from './flow.ts';
import { DeviceParts } from './device-parts.ts';
import { GradientMemory } from './gradient-memory.ts';
import { gradientScale, sumShares } from './gradient-scale.ts';
import type { InferenceSegment } from './inference.ts';
import { Inference } from './inference.ts';
import { KernelCache } from './kernel-cache.ts';
import { ParameterStore } from './parameter-store.ts';
import type { DataInput, ForwardProgram, ProgramContext } from './part-program.ts';
import { PassBinder } from './pass-program.ts';
import type { OpClock } from './op-clock.ts';
import type { Recorder, SpanKind } from './recorder.ts';
import type { Boxed } from './regions.ts';
import { copyRegion, onHost } from './regions.ts';
import type { Step } from './segments/cut.ts';
import { cutSegments } from './segments/cut.ts';
import type { MergedSegment } from './segments/merged-segment.ts';
import { mergeSegments } from './segments/merged-segment.ts';
import { writtenBy } from './segments/stage.ts';
import { segmentUse } from './segment-use.ts';
import { ShardPrograms } from './shard-programs.ts';

/** What a device does, and with what. */
export interface DeviceProgramOptions {
  readonly training: TrainingGraph;
  readonly layout: Layout;
  readonly tasks: TaskGraph;
  /** Task ids of this device's compute and update tasks, in the simulator's order. */
  readonly order: readonly number[];
  readonly device: number;
  readonly engine: KernelEngine;
  readonly transport: Transport;
  readonly optimizer: OptimizerSettings;
  /** How floats travel between devices; float32 where left out. */
  readonly wire?: WireType;
  /** Whole initial values, by tensor name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Hears what the device spends time on; undefined where nobody asks. */
  readonly recorder?: Recorder | undefined;
  /** Gradients that devices of this machine read from each other; the others are sent. */
  readonly sharedGradients?: SharedGradients | undefined;
  /** Told what kernels of segments take in training passes. */
  readonly clock?: OpClock | undefined;
}

/** A step of training, counted from 0. */
export interface TrainingStep {
  readonly step: number;
  readonly learningRate: number;
  /** Which of its micro-batches, from 0, where it has several; the last one ends with the update. */
  readonly microBatch?: number;
}

/** Seconds a device spent since the start, in training passes. */
export interface DeviceTimes {
  computeSeconds: number;
  waitSeconds: number;
}

/** A segment, with what it writes that is read on the host. */
interface SegmentAction {
  readonly kind: 'segment';
  readonly segment: MergedSegment<ComputeWork>;
  readonly kernel: BoundKernel;
  readonly readOnHost: readonly TensorBuffer[];
  readonly tasks: readonly number[];
}

/** What a device does next: a segment, or the optimizer's step on a shard. */
type Action = SegmentAction | { readonly kind: 'update'; readonly shard: number; readonly tasks: readonly number[] };

/**
 * The program of one device: its share of the task graph that the simulator timed, executed in the simulator's order, a
 * segment of tasks at a time. Transfers, gathers and collectives start as soon as their data is there and overlap with what
 * follows.
 */
export class DeviceProgram {
  readonly times: DeviceTimes = { computeSeconds: 0, waitSeconds: 0 };
  readonly parameters: ParameterStore;
  /** Without the initial weights, which are not to stay in memory. */
  readonly #options: Omit<DeviceProgramOptions, 'weights'>;
  readonly #parts: DeviceParts;
  readonly #shards: ShardPrograms;
  readonly #elements: WireElements;
  readonly #kernels: KernelCache;
  readonly #actions: readonly Action[];
  /** Whether gradients are multiplied with a factor that depends on all of them, so that updates wait for all. */
  readonly #scales: boolean;
  /** Whether what kernels take counts for their ops: in training passes. */
  #counts = true;
  #sends: Promise<void>[] = [];
  /** Loss elements that count, of the micro-batches of this step so far. */
  #counted = 0;
  /** Made for the first evaluation. */
  #inference: Inference | undefined;

  constructor({ weights, ...options }: DeviceProgramOptions) {
    const { training, layout, tasks, device, engine, optimizer } = options;
    this.#options = options;
    this.#elements = wireElements(options.wire ?? 'float32');
    this.#scales = optimizer.gradientClipNorm !== undefined || someDoNotCount(training);
    const kernels = new KernelCache(engine);
    const flow = new Flow(layout, tasks);
    const parameters = new ParameterStore(engine, layout, device, weights, OPTIMIZER_STATES[optimizer.name]);
    const { sharedGradients } = options;
    const places = backwardPlaces(tasks, options.order, ({ op, part }) => layout.parts[op]![part]!);
    const gradientMemory = new GradientMemory({ layout, device, engine, shared: sharedGradients, places });
    const gradientPlace: ProgramContext['gradientPlace'] = (...of) => gradientMemory.ofInput(...of);
    const drafts = new Drafts(engine);
    const context = { layout, flow, device, engine, drafts, parameters, gradientPlace };
    [this.#kernels, this.parameters] = [kernels, parameters];
    const parts = new DeviceParts({ ...context, binder: new PassBinder(context) });
    this.#parts = parts;
    const rule = createOptimizer(optimizer, this.#scales);
    this.#shards = new ShardPrograms({
      ...options,
      optimizer: rule,
      takesNorm: optimizer.gradientClipNorm !== undefined,
      accumulationSteps: training.accumulationSteps,
      kernels,
      parameters,
      gradInputOf: (part, input) => parts.gradInput(part, input),
      gradientMemory,
      sharedGradients,
      elements: this.#elements,
    });
    this.#actions = this.#planActions(drafts);
  }

  /** The boxes of graph inputs to fill before each pass. */
  get dataInputs(): DataInput[] {
    return this.#parts.dataInputs;
  }

  /** The parts of an op on this device. Their outputs are written where something beside the kernels reads them, as losses are. */
  partsOf(op: number): ForwardProgram[] {
    return this.#parts.ofOp(op);
  }

  /** Lengths of all sums of gradients since the start, added up. */
  get collectiveSeconds(): number {
    return this.#shards.collectiveSeconds;
  }

  /** The gradient that the last training pass found for a shard of this device, before any scaling. */
  gradient(shard: number): Promise<Float32Array> {
    return this.#shards.gradient(shard);
  }

  /** One training iteration: of a micro-batch, in turn. `pass` numbers the passes of the job, training and evaluation together. */
  async train(pass: number, { step, learningRate, microBatch = 0 }: TrainingStep): Promise<void> {
    await this.parameters.ready();
    if (microBatch === this.#options.training.accumulationSteps - 1) await this.#trainLast(pass, step, learningRate);
    else {
      for (const action of this.#actions)
        if (action.kind === 'segment') await this.#runSegment(action, pass, microBatch);
      this.#count();
    }
    await this.#settleSends();
  }

  /** The last micro-batch of a step, with sums over devices and updates. */
  async #trainLast(pass: number, step: number, learningRate: number): Promise<void> {
    const { accumulationSteps } = this.#options.training;
    this.#shards.begin();
    await this.#shards.setRates(step, learningRate, 1);
    const late: Extract<Action, { readonly kind: 'update' }>[] = [];
    for (const action of this.#actions) {
      if (action.kind === 'segment') await this.#runSegment(action, pass, accumulationSteps - 1);
      // No task of this pass waits for an update, so none holds up the tasks while its gradient is on the way.
      else if (this.#scales || !this.#shards.isSummed(action.shard)) late.push(action);
      else await this.#runUpdate(action);
    }
    if (this.#scales) await this.#shards.setRates(step, learningRate, await this.#gradientScale(pass));
    for (const action of late) await this.#runUpdate(action);
    this.#shards.finish(pass);
    this.#counted = 0;
  }

  /** Takes in how many losses of a micro-batch count. */
  #count(): void {
    if (this.#scales) this.#counted += partialResult(this.#options.training, this, Infinity).lossCount;
  }

  /**
   * The forward pass alone, as models are used; its time is not counted.
   * @param moments running moments of batch normalizations, by op name
   */
  async infer(pass: number, moments: ReadonlyMap<string, Moments>): Promise<void> {
    await this.parameters.ready();
    const trained = { ...this.times };
    this.#inference ??= new Inference({
      graph: this.#options.training.graph,
      engine: this.#options.engine,
      kernels: this.#kernels,
      programs: this.#parts.forward,
      partOf: ({ task }) => this.#parts.partOf(task),
    });
    await this.#inference.setMoments(moments);
    this.#counts = false;
    for (const action of this.#actions) {
      if (action.kind !== 'segment' || action.segment.direction !== 'forward') continue;
      const inferring = this.#inference.segment(action.segment);
      if (inferring === undefined) await this.#runSegment(action, pass, 0);
      else await this.#inferSegment(action, inferring, pass);
    }
    await this.#settleSends();
    this.#counts = true;
    Object.assign(this.times, trained);
  }

  release(): void {
    for (const action of this.#actions) if (action.kind === 'segment') action.kernel.release();
    this.#inference?.release();
    this.#shards.release();
    this.#kernels.release();
  }

  #computeTasks(): ComputeTask[] {
    const { order, tasks } = this.#options;
    return order.flatMap((id) => {
      const task = tasks.tasks[id]!;
      return task.kind === 'forward' || task.kind === 'backward' ? [task] : [];
    });
  }

  /** Segments with the updates between them; an update that the order has within a segment comes after it. */
  #planActions(drafts: Drafts): Action[] {
    const { order, tasks } = this.#options;
    const steps = this.#computeTasks().map((task) => computeStep(this.#work(task)));
    const onHost = this.#readOnHost(steps);
    const readOutside = new Set([...onHost, ...this.#shards.gradients()]);
    const segments = mergeSegments(cutSegments(steps), readOutside);
    const lastRead = new Set(this.#parts.readAfterPass(this.#options.training));
    drafts.place(spansOf(segments.map((segment) => segmentUse(segment, lastRead))));
    const startedBy = new Map(segments.map((segment) => [segment.steps[0]!.task.task.id, segment]));
    const actions: Action[] = [];
    for (const id of order) {
      const segment = startedBy.get(id);
      const task = tasks.tasks[id]!;
      if (segment !== undefined) {
        const written = segment.steps.flatMap(({ stages }) => stages.flatMap(writtenBy));
        const sums = segment.steps.flatMap(({ task: { contribution } }) => contribution.sums);
        const readOnHost = [...written.filter((memory) => onHost.has(memory)), ...sums].map(placed);
        const kernel = this.#kernels.get(segment.stage.graph).bind(placedMemory(segment.stage.memory));
        const taskIds = segment.steps.map((step) => step.task.task.id);
        actions.push({ kind: 'segment', segment, kernel, readOnHost, tasks: taskIds });
      } else if (task.kind === 'update') actions.push({ kind: 'update', shard: task.shard, tasks: [id] });
    }
    return actions;
  }

  #work(task: ComputeTask): ComputeWork {
    const part = this.#parts.partOf(task);
    const { pass } = this.#parts.programOf(task);
    const none = { outgoing: [], contribution: { stages: [], sums: [] } };
    if (task.stage === 'statistics') return { task, pass, ...none };
    if (task.kind === 'forward') return { task, pass, ...none, outgoing: this.#parts.activationTransfers(part) };
    const outgoing = this.#parts.gradientTransfers(part);
    return { task, pass, outgoing, contribution: this.#shards.contributionOf(part) };
  }

  /** What segments write that is read on the host: sent, copied, or looked at after the pass. */
  #readOnHost(steps: readonly Step<ComputeWork>[]): Set<TensorBuffer> {
    return new Set([
      ...steps.flatMap(({ task }) => readAfter(task)),
      ...this.#parts.readAfterPass(this.#options.training),
    ]);
  }

  async #runSegment(action: SegmentAction, pass: number, microBatch: number): Promise<void> {
    const { tasks, segment, kernel, readOnHost } = action;
    const startMs = performance.now();
    const filled: TensorBuffer[] = [];
    for (const { task: work } of segment.steps) {
      for (const input of fillsOf(work)) {
        if (input.fill === undefined) continue;
        await this.#wait(input.fill(this.#options.transport, pass, this.#elements));
        filled.push(placed(input.memory));
      }
    }
    if (segment.direction === 'backward') await this.#wait(this.#shards.writable());
    this.#record('wait', tasks, startMs);
    await this.#compute(kernel, action, filled, readOnHost);
    await this.#accumulate(segment, microBatch);
    const doneMs = performance.now();
    const isLast = microBatch === this.#options.training.accumulationSteps - 1;
    for (const { task: work } of segment.steps) this.#finish(work, pass, isLast);
    this.#record('finish', tasks, doneMs);
  }

  /** A segment of an evaluation in which parts infer otherwise than they train. */
  async #inferSegment(action: SegmentAction, { kernel, writes, steps }: InferenceSegment, pass: number): Promise<void> {
    const filled: TensorBuffer[] = [];
    for (const { fill, memory } of steps.flatMap(({ fills }) => fills)) {
      if (fill === undefined) continue;
      await this.#wait(fill(this.#options.transport, pass, this.#elements));
      filled.push(placed(memory));
    }
    const readOnHost = action.readOnHost.filter((memory) => writes.has(memory));
    if (kernel === undefined) await this.#options.engine.upload(filled);
    else await this.#compute(kernel, action, filled, readOnHost);
    action.segment.steps.forEach(({ task }, step) => {
      if (steps[step]!.sends) this.#finish(task, pass, false);
    });
  }

  /** Adds the gradients that a segment completes up with those of other micro-batches. */
  async #accumulate({ steps }: MergedSegment<ComputeWork>, microBatch: number): Promise<void> {
    for (const { task } of steps) {
      if (task.task.kind === 'forward' || task.task.stage === 'statistics') continue;
      for (const { shard, kernel } of this.#shards.accumulate(this.#parts.partOf(task.task), microBatch)) {
        const update = this.#actions.find((action) => action.kind === 'update' && action.shard === shard);
        await this.#compute(kernel, update!);
      }
    }
  }

  #record(kind: SpanKind, tasks: readonly number[], startMs: number): void {
    this.#options.recorder?.record(kind, tasks, startMs);
  }

  /** Sends what others wait for. @param sums whether that is gradients to sum, too */
  #finish({ task, pass: { statistics }, outgoing }: ComputeWork, pass: number, sums: boolean): void {
    const { transport } = this.#options;
    if (task.stage === 'statistics') {
      const { gathering, vector } = statistics!;
      const gathers = task.successors.filter((id) => this.#options.tasks.tasks[id]!.kind === 'gather');
      this.#send(
        gathering.share(task.part, floats(vector.host), transport, pass),
        gathers.length > 0 ? 'gather' : undefined,
        gathers,
      );
      return;
    }
    for (const transfer of outgoing) this.#sendTransfer(transfer.task, transfer.from, pass);
    if (sums && task.kind === 'backward') this.#shards.contributed(this.#parts.partOf(task), pass);
  }

  async #gradientScale(pass: number): Promise<number> {
    const { training, optimizer, tasks, transport } = this.#options;
    const clipNorm = optimizer.gradientClipNorm;
    const squares = clipNorm === undefined ? 0 : await this.#shards.squares();
    this.#count();
    const tag = { step: pass, task: controlTasks(tasks).scale };
    const sum = await sumShares({ squares, counted: this.#counted }, tasks.deviceCount, transport, tag);
    return gradientScale(sum, { elements: batchElements(training) * training.accumulationSteps, clipNorm });
  }

  async #runUpdate(action: Extract<Action, { readonly kind: 'update' }>): Promise<void> {
    const { shard, tasks } = action;
    const startMs = performance.now();
    await this.#wait(this.#shards.summed(shard));
    this.#record('wait', tasks, startMs);
    await this.#compute(this.#shards.update(shard), action);
    const doneMs = performance.now();
    await this.parameters.refresh(shard);
    this.#record('finish', tasks, doneMs);
  }

  #sendTransfer(task: TransferTask, from: Boxed<TensorBuffer>, pass: number): void {
    const tag = { step: pass, task: task.id, round: 0 };
    this.#send(
      this.#options.transport.send(task.toDevice, tag, packed(onHost(from), task.region, this.#elements)),
      'send',
      [task.id],
    );
  }

  /** @param kind what to record it as; undefined where it is not */
  #send(sent: Promise<void>, kind: 'send' | 'gather' | undefined, tasks: readonly number[]): void {
    const { recorder } = this.#options;
    const startMs = performance.now();
    const recorded =
      recorder === undefined || kind === undefined ? sent : sent.then(() => recorder.record(kind, tasks, startMs));
    // A failed send is seen at the end of the pass; until then it must not count as unhandled.
    recorded.catch(() => undefined);
    this.#sends.push(recorded);
  }

  /** Every buffer may be written again in the next pass. */
  async #settleSends(): Promise<void> {
    const sends = this.#sends;
    this.#sends = [];
    await this.#wait(Promise.all(sends).then(() => undefined));
  }

  /** @param filled what the host wrote for it @param readOnHost what it writes for the host */
  async #compute(
    kernel: BoundKernel,
    { kind, tasks }: Action,
    filled: readonly TensorBuffer[] = [],
    readOnHost: readonly TensorBuffer[] = [],
  ): Promise<void> {
    const { engine } = this.#options;
    const start = performance.now();
    if (filled.length > 0) await engine.upload(filled);
    await kernel.run();
    if (readOnHost.length > 0) await engine.download(readOnHost);
    const seconds = (performance.now() - start) / 1000;
    this.times.computeSeconds += seconds;
    if (this.#counts && kind === 'segment') this.#options.clock?.add(tasks, seconds);
    this.#record(kind, tasks, start);
  }

  async #wait(event: Promise<void>): Promise<void> {
    const start = performance.now();
    await event;
    this.times.waitSeconds += (performance.now() - start) / 1000;
  }
}

/** The bytes of a region: those of the memory itself where the region is all of it, else a copy. */
function packed(from: Boxed<TensorMemory>, region: Region, elements: WireElements): Uint8Array {
  const { memory } = from;
  let target = memory;
  if (!sameRegion(from.frame, region)) {
    const count = regionVolume(region);
    target = memory instanceof BigInt64Array ? new BigInt64Array(count) : new Float32Array(count);
    copyRegion(from, { memory: target, frame: region }, region);
  }
  if (target instanceof Float32Array) return elements.pack(target);
  return new Uint8Array(target.buffer, target.byteOffset, target.byteLength);
}
