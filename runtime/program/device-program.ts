import type { Moments } from '../../soap/graph/graph.ts';
import type { TrainingGraph } from '../../soap/training/loss.ts';
import { someDoNotCount } from '../../soap/training/loss.ts';
import { OPTIMIZER_STATES } from '../../soap/job/optimizer-states.ts';
import type { OptimizerSettings, WireType } from '../../soap/job/training-job.ts';
import type { Layout } from '../../soap/tasks/layout.ts';
import { backwardPlaces } from '../../soap/tasks/gradient-terms.ts';
import type { Task, TaskGraph } from '../../soap/tasks/task-graph.ts';
import type { SharedGradients } from '../collectives/shared-gradients.ts';
import type { KernelEngine } from '../kernels/kernels.ts';
import type { MaskKey } from '../masks/fill.ts';
import type { Masks } from '../masks/masks.ts';
import { createMasks } from '../masks/masks.ts';
import { createOptimizer } from '../optimizers/optimizer.ts';
import type { Transport } from '../transport/transport.ts';
import { wireElements } from '../wire/elements.ts';
import type { Action, UpdateAction } from './actions.ts';
import { planActions } from './actions.ts';
import { controlTasks } from '../wire/control-tasks.ts';
import { DeviceParts } from './device-parts.ts';
import { Drafts } from './drafts.ts';
import { batchElements, partialResult } from './evaluation.ts';
import { Flow } from './flow.ts';
import { GradientMemory } from './gradient-memory.ts';
import { gradientScale, sumShares } from './gradient-scale.ts';
import { Inference } from './inference.ts';
import { KernelCache } from './kernel-cache.ts';
import { ParameterStore } from './parameter-store.ts';
import type { DataInput, ForwardProgram, ProgramContext } from './part-program.ts';
import { PassBinder } from './pass-program.ts';
import type { OpClock } from './op-clock.ts';
import type { Recorder } from './recorder.ts';
import { SegmentRunner } from './segment-runner.ts';
import { Sender } from './sender.ts';
import { ShardPrograms } from './shards/shard-programs.ts';
import type { DeviceTimes } from './timed-work.ts';
import { TimedWork } from './timed-work.ts';

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
  /** Of the run: masks of ops that drop elements are drawn from it. 0 where left out. */
  readonly seed?: number;
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

/**
 * The program of one device: its share of the task graph that the simulator timed, executed in the simulator's order, a
 * segment of tasks at a time. Transfers, gathers and collectives start as soon as their data is there and overlap with what
 * follows.
 */
export class DeviceProgram {
  readonly parameters: ParameterStore;
  /** Without the initial weights, which are not to stay in memory. */
  readonly #options: Omit<DeviceProgramOptions, 'weights'>;
  readonly #parts: DeviceParts;
  readonly #shards: ShardPrograms;
  readonly #kernels: KernelCache;
  readonly #actions: readonly Action[];
  readonly #timed: TimedWork;
  readonly #sender: Sender;
  readonly #segments: SegmentRunner;
  /** Undefined where no op of this device drops elements. */
  readonly #masks: Masks | undefined;
  /** Whether gradients are multiplied with a factor that depends on all of them, so that updates wait for all. */
  readonly #scales: boolean;
  /** Loss elements that count, of the micro-batches of this step so far. */
  #counted = 0;
  /** Made for the first evaluation. */
  #inference: Inference | undefined;

  constructor({ weights, ...options }: DeviceProgramOptions) {
    const { training, layout, tasks, order, device, engine, optimizer, sharedGradients } = options;
    const { accumulationSteps } = training;
    const elements = wireElements(options.wire ?? 'float32', engine.add);
    const kernels = new KernelCache(engine);
    const flow = new Flow(layout, tasks);
    const parameters = new ParameterStore(engine, layout, device, weights, OPTIMIZER_STATES[optimizer.name]);
    const places = backwardPlaces(tasks, order, ({ op, part }) => layout.parts[op]![part]!);
    const gradientMemory = new GradientMemory({ layout, device, engine, shared: sharedGradients, places });
    const gradientPlace: ProgramContext['gradientPlace'] = (...of) => gradientMemory.ofInput(...of);
    const drafts = new Drafts(engine);
    const context = { layout, flow, device, engine, drafts, parameters, gradientPlace };
    const parts = new DeviceParts({ ...context, binder: new PassBinder(context) });
    this.#options = options;
    this.#masks = createMasks(training, parts.masks, engine, options.seed ?? 0);
    [this.#kernels, this.#parts, this.parameters] = [kernels, parts, parameters];
    this.#scales = optimizer.gradientClipNorm !== undefined || someDoNotCount(training);
    const shards = new ShardPrograms({
      ...options,
      optimizer: createOptimizer(optimizer, this.#scales),
      takesNorm: optimizer.gradientClipNorm !== undefined,
      accumulationSteps,
      kernels,
      parameters,
      gradInputOf: (part, input) => parts.gradInput(part, input),
      gradientMemory,
      sharedGradients,
      elements,
    });
    const actions = planActions({ training, tasks, order, parts, shards, drafts, kernels });
    const timed = new TimedWork(engine, options);
    const sender = new Sender({ ...options, elements });
    const updateTasks = new Map(order.flatMap((id) => updateOf(tasks.tasks[id]!)));
    [this.#shards, this.#actions, this.#timed, this.#sender] = [shards, actions, timed, sender];
    this.#segments = new SegmentRunner({
      ...options,
      elements,
      parts,
      shards,
      sender,
      timed,
      accumulationSteps,
      updateTaskOf: (shard) => updateTasks.get(shard)!,
    });
  }

  get times(): Readonly<DeviceTimes> {
    return this.#timed.times;
  }

  /** The boxes of graph inputs to fill before each pass. */
  get dataInputs(): DataInput[] {
    return this.#parts.dataInputs;
  }

  /** The parts of an op on this device. Their outputs are written where something beside the kernels reads them, as losses are. */
  partsOf(op: number): readonly ForwardProgram[] {
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
    await this.#loadMasks({ step, microBatch });
    if (microBatch === this.#options.training.accumulationSteps - 1) await this.#trainLast(pass, step, learningRate);
    else {
      for (const action of this.#actions)
        if (action.kind === 'segment') await this.#segments.train(action, pass, microBatch);
      this.#count();
    }
    await this.#timed.wait(this.#sender.settle());
  }

  /** The last micro-batch of a step, with sums over devices and updates. */
  async #trainLast(pass: number, step: number, learningRate: number): Promise<void> {
    const { accumulationSteps } = this.#options.training;
    this.#shards.begin();
    await this.#shards.setRates(step, learningRate, 1);
    const late: UpdateAction[] = [];
    for (const action of this.#actions) {
      if (action.kind === 'segment') await this.#segments.train(action, pass, accumulationSteps - 1);
      // No task of this pass waits for an update, so none holds up the tasks while its gradient is on the way.
      else if (this.#scales || !action.shards.every((shard) => this.#shards.isSummed(shard))) late.push(action);
      else await this.#runUpdate(action);
    }
    if (this.#scales) await this.#shards.setRates(step, learningRate, await this.#gradientScale(pass));
    for (const action of late) await this.#runUpdate(action);
    this.#shards.finish(pass);
    this.#counted = 0;
  }

  async #loadMasks(key: MaskKey): Promise<void> {
    if (this.#masks === undefined) return;
    const startMs = performance.now();
    await this.#masks.load(key);
    this.#timed.record('load', [], startMs);
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
    this.#inference ??= new Inference({
      graph: this.#options.training.graph,
      engine: this.#options.engine,
      kernels: this.#kernels,
      programs: this.#parts.forward,
      partOf: ({ task }) => this.#parts.partOf(task),
    });
    const inference = this.#inference;
    await inference.setMoments(moments);
    await this.#timed.uncounted(async () => {
      for (const action of this.#actions) {
        if (action.kind !== 'segment' || action.segment.direction !== 'forward') continue;
        await this.#segments.infer(action, inference.segment(action.segment), pass);
      }
      await this.#timed.wait(this.#sender.settle());
    });
  }

  release(): void {
    this.#masks?.release();
    for (const action of this.#actions) action.kernel?.release();
    this.#inference?.release();
    this.#shards.release();
    this.#kernels.release();
  }

  async #gradientScale(pass: number): Promise<number> {
    const { training, optimizer, tasks, transport } = this.#options;
    const clipNorm = optimizer.gradientClipNorm;
    const squares = clipNorm === undefined ? 0 : await this.#shards.squares((kernel) => this.#timed.run(kernel));
    this.#count();
    const tag = { step: pass, task: controlTasks(tasks).scale };
    const sum = await sumShares({ squares, counted: this.#counted }, tasks.deviceCount, transport, tag);
    return gradientScale(sum, { elements: batchElements(training) * training.accumulationSteps, clipNorm });
  }

  async #runUpdate(action: UpdateAction): Promise<void> {
    const { shards, kernel, tasks } = action;
    const startMs = performance.now();
    for (const shard of shards) await this.#timed.wait(this.#shards.summed(shard));
    this.#timed.record('wait', tasks, startMs);
    await this.#timed.compute(kernel, action);
    const doneMs = performance.now();
    for (const shard of shards) await this.parameters.refresh(shard);
    this.#timed.record('finish', tasks, doneMs);
  }
}

/** The shard that a task updates, with the task's id; nothing for other tasks. */
function updateOf(task: Task): [shard: number, id: number][] {
  return task.kind === 'update' ? [[task.shard, task.id]] : [];
}
