import type { TrainingGraph } from '../../soap/graph/loss.ts';
import { OPTIMIZER_STATES } from '../../soap/job/optimizer-states.ts';
import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { regionVolume, sameRegion } from '../../soap/strategy/region.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import { hasBackward, inputPieces } from '../../soap/tasks/layout.ts';
import type { ComputeTask, TaskGraph, TransferTask, UpdateTask } from '../../soap/tasks/task-graph.ts';
import type { BoundKernel, KernelEngine, TensorMemory } from '../kernels/kernels.ts';
import { createOptimizer } from '../optimizers/optimizer.ts';
import type { Transport } from '../transport/transport.ts';
import { controlTasks } from './control-tasks.ts';
import { batchElements, partialResult, someDoNotCount } from './evaluation.ts';
import { Flow } from './flow.ts';
import { gradientScale, sumShares } from './gradient-scale.ts';
import { KernelCache } from './kernel-cache.ts';
import { ParameterStore } from './parameter-store.ts';
import type { BackwardProgram, DataInput, ForwardProgram, ProgramContext } from './part-program.ts';
import { backwardProgram, forwardProgram } from './part-program.ts';
import type { PassProgram, StageSteps } from './pass-program.ts';
import { PassBinder, releasePass, runMain, runStatistics } from './pass-program.ts';
import type { Boxed } from './regions.ts';
import { copyRegion } from './regions.ts';
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
  /** Whole initial values, by tensor name. */
  readonly weights: ReadonlyMap<string, Float32Array>;
}

/** A step of training, counted from 0. */
export interface TrainingStep {
  readonly step: number;
  readonly learningRate: number;
}

/** Seconds a device spent since the start. */
export interface DeviceTimes {
  computeSeconds: number;
  waitSeconds: number;
}

/**
 * The program of one device: its share of the task graph that the simulator timed, executed in the simulator's order.
 * Transfers, gathers and collectives start as soon as their data is there and overlap with the tasks that follow.
 */
export class DeviceProgram {
  readonly times: DeviceTimes = { computeSeconds: 0, waitSeconds: 0 };
  readonly parameters: ParameterStore;
  readonly #options: DeviceProgramOptions;
  readonly #forward = new Map<PlacedPart, ForwardProgram>();
  readonly #backward = new Map<PlacedPart, BackwardProgram>();
  readonly #shards: ShardPrograms;
  readonly #flow: Flow;
  readonly #kernels: KernelCache;
  /** Whether gradients are multiplied with a factor that depends on all of them, so that updates wait for all. */
  readonly #scales: boolean;
  #sends: Promise<void>[] = [];

  constructor(options: DeviceProgramOptions) {
    const { training, layout, tasks, device, engine, weights, optimizer } = options;
    this.#options = options;
    this.#scales = optimizer.gradientClipNorm !== undefined || someDoNotCount(training);
    const kernels = new KernelCache(engine);
    const flow = new Flow(layout, tasks);
    const parameters = new ParameterStore(engine, layout, device, weights, OPTIMIZER_STATES[optimizer.name]);
    const context = { layout, flow, device, engine, kernels, parameters };
    [this.#kernels, this.#flow, this.parameters] = [kernels, flow, parameters];
    this.#buildParts({ ...context, binder: new PassBinder(context) });
    const gradInputOf = (part: PlacedPart, input: number): Boxed<TensorMemory> => this.#gradInput(part, input);
    const rule = createOptimizer(optimizer, this.#scales);
    this.#shards = new ShardPrograms({ ...options, optimizer: rule, kernels, parameters, gradInputOf });
  }

  /** The boxes of graph inputs to fill before each pass. */
  get dataInputs(): DataInput[] {
    return [...this.#forward.values()].flatMap(({ dataInputs }) => dataInputs);
  }

  /** The parts of an op on this device, with their memory. */
  partsOf(op: number): ForwardProgram[] {
    return [...this.#forward.values()].filter(({ part }) => part.op === op);
  }

  /** The gradient that the last training pass found for a shard of this device, before any scaling. */
  gradient(shard: number): Float32Array {
    return this.#shards.gradient(shard);
  }

  /** One training iteration. `pass` numbers the passes of the job, training and evaluation together. */
  async train(pass: number, { step, learningRate }: TrainingStep): Promise<void> {
    this.#shards.begin();
    this.#shards.setRates(step, learningRate, 1);
    const late: UpdateTask[] = [];
    for (const id of this.#options.order) {
      const task = this.#options.tasks.tasks[id]!;
      if (task.kind === 'forward') await this.#runForward(task, pass);
      else if (task.kind === 'backward') await this.#runBackward(task, pass);
      else if (task.kind !== 'update') continue;
      else if (this.#scales) late.push(task);
      else await this.#runUpdate(task);
    }
    if (this.#scales) this.#shards.setRates(step, learningRate, await this.#gradientScale(pass));
    for (const task of late) await this.#runUpdate(task);
    await this.#settleSends();
  }

  /** The forward pass alone. */
  async infer(pass: number): Promise<void> {
    for (const id of this.#options.order) {
      const task = this.#options.tasks.tasks[id]!;
      if (task.kind === 'forward') await this.#runForward(task, pass);
    }
    await this.#settleSends();
  }

  release(): void {
    for (const { pass } of this.#forward.values()) releasePass(pass);
    for (const { pass } of this.#backward.values()) releasePass(pass);
    this.#shards.release();
    this.#kernels.release();
  }

  #buildParts(context: ProgramContext): void {
    const mine = context.layout.parts.flat().filter(({ device }) => device === context.device);
    for (const part of mine) {
      const program = forwardProgram(context, part, (producer, k) => this.#forward.get(producer)!.outputs[k]!);
      this.#forward.set(part, program);
    }
    for (const part of mine.toReversed()) {
      const forward = this.#forward.get(part)!;
      const program = backwardProgram(context, forward, (reader, input) => this.#gradInput(reader, input));
      if (program !== undefined) this.#backward.set(part, program);
    }
  }

  #gradInput(part: PlacedPart, input: number): Boxed<TensorMemory> {
    const box = this.#backward.get(part)?.gradInputs[input];
    if (box === undefined)
      throw new Error(`internal: part ${part.index} of op ${part.op} has no gradient of input ${input}`);
    return box;
  }

  #part(task: ComputeTask): PlacedPart {
    return this.#options.layout.parts[task.op]![task.part]!;
  }

  async #runForward(task: ComputeTask, pass: number): Promise<void> {
    const program = this.#forward.get(this.#part(task))!;
    await this.#runStage(task, program.pass, pass);
    if (task.stage === 'statistics') return;
    for (const [output, from] of program.outputs.entries()) {
      for (const reader of this.#flow.readersOf(program.part, output)) {
        if (reader.consumer.device === program.part.device) continue;
        this.#sendTransfer(this.#flow.transfer('activation', reader, program.part), from, pass);
      }
    }
  }

  async #runBackward(task: ComputeTask, pass: number): Promise<void> {
    const part = this.#part(task);
    const program = this.#backward.get(part)!;
    await this.#runStage(task, program.pass, pass);
    if (task.stage === 'statistics') return;
    for (const transfer of this.#gradientTransfers(part)) this.#sendTransfer(transfer.task, transfer.from, pass);
    this.#shards.contributed(part, pass);
  }

  async #runStage(task: ComputeTask, program: PassProgram, pass: number): Promise<void> {
    const steps: StageSteps = {
      transport: this.#options.transport,
      pass,
      compute: (kernel) => this.#compute(kernel),
      wait: (event) => this.#wait(event),
      send: (sent) => this.#send(sent),
    };
    if (task.stage === 'statistics') await runStatistics(program, this.#part(task), steps);
    else await runMain(program, steps);
  }

  *#gradientTransfers(consumer: PlacedPart): Generator<{ task: TransferTask; from: Boxed<TensorMemory> }> {
    const { layout } = this.#options;
    for (const [input, from] of this.#backward.get(consumer)!.gradInputs.entries()) {
      if (from === undefined) continue;
      for (const { producer, region } of inputPieces(layout, consumer, input)) {
        if (producer.device === consumer.device || !hasBackward(layout, producer)) continue;
        yield { task: this.#flow.transfer('gradient', { consumer, input, region }, producer), from };
      }
    }
  }

  async #gradientScale(pass: number): Promise<number> {
    const { training, optimizer, tasks, transport } = this.#options;
    const clipNorm = optimizer.gradientClipNorm;
    const squares = clipNorm === undefined ? 0 : await this.#shards.squares();
    const counted = partialResult(training, this, Infinity).lossCount;
    const tag = { step: pass, task: controlTasks(tasks).scale };
    const sum = await sumShares({ squares, counted }, tasks.deviceCount, transport, tag);
    return gradientScale(sum, { elements: batchElements(training), clipNorm });
  }

  async #runUpdate({ shard }: UpdateTask): Promise<void> {
    await this.#wait(this.#shards.summed(shard));
    await this.#compute(this.#shards.update(shard));
    this.parameters.refresh(shard);
  }

  #sendTransfer(task: TransferTask, from: Boxed<TensorMemory>, pass: number): void {
    const tag = { step: pass, task: task.id, round: 0 };
    this.#send(this.#options.transport.send(task.toDevice, tag, packed(from, task.region)));
  }

  #send(sent: Promise<void>): void {
    // A failed send is seen at the end of the pass; until then it must not count as unhandled.
    sent.catch(() => undefined);
    this.#sends.push(sent);
  }

  /** Every buffer may be written again in the next pass. */
  async #settleSends(): Promise<void> {
    const sends = this.#sends;
    this.#sends = [];
    await this.#wait(Promise.all(sends).then(() => undefined));
  }

  async #compute(kernel: BoundKernel): Promise<void> {
    const start = performance.now();
    await kernel.run();
    this.times.computeSeconds += (performance.now() - start) / 1000;
  }

  async #wait(event: Promise<void>): Promise<void> {
    const start = performance.now();
    await event;
    this.times.waitSeconds += (performance.now() - start) / 1000;
  }
}

/** The bytes of a region: those of the memory itself where the region is all of it, else a copy. */
function packed(from: Boxed<TensorMemory>, region: Region): Uint8Array {
  const { memory } = from;
  if (sameRegion(from.frame, region)) return new Uint8Array(memory.buffer, memory.byteOffset, memory.byteLength);
  const elements = regionVolume(region);
  const target = memory instanceof BigInt64Array ? new BigInt64Array(elements) : new Float32Array(elements);
  copyRegion(from, { memory: target, frame: region }, region);
  return new Uint8Array(target.buffer);
}
