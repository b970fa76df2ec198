import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { intersect, regionVolume, sameRegion } from '../../soap/strategy/region.ts';
import { gradientSources } from '../../soap/tasks/build.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import { inputPieces } from '../../soap/tasks/layout.ts';
import type { CollectiveTask, ComputeTask, TaskGraph, TransferTask, UpdateTask } from '../../soap/tasks/task-graph.ts';
import { allReduce } from '../collectives/all-reduce.ts';
import type { BoundKernel, KernelEngine, TensorMemory } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { Assembly, Source } from './assembly.ts';
import { floats, sumOf } from './assembly.ts';
import { Flow } from './flow.ts';
import { KernelCache } from './kernel-cache.ts';
import { ParameterStore } from './parameter-store.ts';
import type { BackwardProgram, DataInput, ForwardProgram, ProgramContext } from './part-program.ts';
import { backwardProgram, forwardProgram } from './part-program.ts';
import type { Boxed } from './regions.ts';
import { copyRegion } from './regions.ts';

/** What a device does, and with what. */
export interface DeviceProgramOptions {
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

/** Seconds a device spent since the start. */
export interface DeviceTimes {
  computeSeconds: number;
  waitSeconds: number;
}

/** A shard's gradient on this device, on its way to the update. */
interface ShardProgram {
  readonly gradient: Assembly;
  readonly update: BoundKernel;
  /** Backward tasks of this device that contribute. */
  readonly contributors: number;
  /** Undefined where this device alone holds the shard. */
  readonly collective: CollectiveTask | undefined;
  /** Contributors still to come in this pass. */
  missing: number;
  /** The summed gradient of this pass. */
  summed: Promise<void> | undefined;
}

/**
 * The program of one device: its share of the task graph that the simulator timed, executed in the simulator's order.
 * Transfers and collectives start as soon as their data is there and overlap with the tasks that follow.
 */
export class DeviceProgram {
  readonly times: DeviceTimes = { computeSeconds: 0, waitSeconds: 0 };
  readonly parameters: ParameterStore;
  readonly #options: DeviceProgramOptions;
  readonly #forward = new Map<PlacedPart, ForwardProgram>();
  readonly #backward = new Map<PlacedPart, BackwardProgram>();
  readonly #shards = new Map<number, ShardProgram>();
  /** Shards that a part's backward task contributes to. */
  readonly #shardsOf = new Map<PlacedPart, number[]>();
  readonly #flow: Flow;
  readonly #kernels: KernelCache;
  #sends: Promise<void>[] = [];

  constructor(options: DeviceProgramOptions) {
    const { layout, tasks, device, engine, weights } = options;
    this.#options = options;
    this.#kernels = new KernelCache(engine);
    this.#flow = new Flow(layout, tasks);
    this.parameters = new ParameterStore(engine, layout, device, weights);
    const context: ProgramContext = {
      layout,
      flow: this.#flow,
      device,
      engine,
      kernels: this.#kernels,
      parameters: this.parameters,
    };
    this.#buildParts(context);
    this.#buildShards();
  }

  /** The boxes of graph inputs to fill before each pass. */
  get dataInputs(): DataInput[] {
    return [...this.#forward.values()].flatMap(({ dataInputs }) => dataInputs);
  }

  /** The parts of an op on this device, with their memory. */
  partsOf(op: number): ForwardProgram[] {
    return [...this.#forward.values()].filter(({ part }) => part.op === op);
  }

  /** One training iteration. `pass` numbers the passes of the job, training and evaluation together. */
  async train(pass: number): Promise<void> {
    for (const shard of this.#shards.values()) {
      shard.missing = shard.contributors;
      shard.summed = undefined;
    }
    for (const id of this.#options.order) {
      const task = this.#options.tasks.tasks[id]!;
      if (task.kind === 'forward') await this.#runForward(task, pass);
      else if (task.kind === 'backward') await this.#runBackward(task, pass);
      else if (task.kind === 'update') await this.#runUpdate(task);
    }
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
    for (const { kernel } of this.#forward.values()) kernel.release();
    for (const { kernel } of this.#backward.values()) kernel.release();
    for (const { update } of this.#shards.values()) update.release();
    this.#kernels.release();
  }

  #buildParts(context: ProgramContext): void {
    const mine = context.layout.parts.flat().filter(({ device }) => device === context.device);
    for (const part of mine) {
      this.#forward.set(
        part,
        forwardProgram(context, part, (producer) => this.#forward.get(producer)!.output),
      );
    }
    for (const part of mine.toReversed()) {
      const backward = backwardProgram(context, this.#forward.get(part)!, (reader, input) =>
        this.#gradInput(reader, input),
      );
      if (backward !== undefined) this.#backward.set(part, backward);
    }
  }

  #buildShards(): void {
    const { layout, tasks, engine, device, optimizer } = this.#options;
    const collectives = new Map<number, CollectiveTask>();
    for (const task of tasks.tasks) if (task.kind === 'collective') collectives.set(task.shard, task);
    for (const { shard } of this.parameters.states) {
      const readers = gradientSources(layout, shard.tensor, shard.region).filter((part) => part.device === device);
      const sources = readers.flatMap((part) => this.#gradientBoxes(part, shard.tensor, shard.region));
      const gradient = sumOf(engine, shard.region, sources);
      const contributors = new Set(readers);
      for (const part of contributors) this.#shardsOf.set(part, [...(this.#shardsOf.get(part) ?? []), shard.id]);
      this.#shards.set(shard.id, {
        gradient,
        update: this.parameters.bindUpdate(shard.id, gradient, optimizer, this.#kernels),
        contributors: contributors.size,
        collective: collectives.get(shard.id),
        missing: contributors.size,
        summed: undefined,
      });
    }
  }

  /** What a part adds to the gradient of a shard; twice where the op reads the parameter twice. */
  #gradientBoxes(part: PlacedPart, tensor: number, shard: Region): Source[] {
    const { inputs } = this.#options.layout.graph.ops[part.op]!;
    return inputs.flatMap((id, input): Source[] => {
      const read = part.inputs[input];
      const region = id === tensor && read !== undefined ? intersect(read, shard) : undefined;
      return region === undefined ? [] : [{ kind: 'local', region, from: this.#gradInput(part, input) }];
    });
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
    for (const input of program.inputs) await this.#wait(input.fill(this.#options.transport, pass));
    await this.#compute(program.kernel);
    for (const reader of this.#flow.readersOf(program.part)) {
      if (reader.consumer.device === program.part.device) continue;
      this.#send(this.#flow.transfer('activation', reader, program.part), program.output, pass);
    }
  }

  async #runBackward(task: ComputeTask, pass: number): Promise<void> {
    const part = this.#part(task);
    const program = this.#backward.get(part)!;
    if (program.gradOutput !== undefined) await this.#wait(program.gradOutput.fill(this.#options.transport, pass));
    await this.#compute(program.kernel);
    for (const transfer of this.#gradientTransfers(part)) this.#send(transfer.task, transfer.from, pass);
    for (const id of this.#shardsOf.get(part) ?? []) {
      const shard = this.#shards.get(id)!;
      shard.missing -= 1;
      if (shard.missing > 0) continue;
      shard.summed = this.#sumGradient(shard, pass);
      // A failure is seen by the update that awaits it; until then it must not count as unhandled.
      shard.summed.catch(() => undefined);
    }
  }

  *#gradientTransfers(consumer: PlacedPart): Generator<{ task: TransferTask; from: Boxed<TensorMemory> }> {
    const { layout } = this.#options;
    const op = layout.graph.ops[consumer.op]!;
    for (const [input, tensor] of op.inputs.entries()) {
      const from = this.#backward.get(consumer)!.gradInputs[input];
      if (from === undefined || layout.producers[tensor] === undefined) continue;
      for (const { producer, region } of inputPieces(layout, consumer, input)) {
        if (producer.device === consumer.device) continue;
        yield { task: this.#flow.transfer('gradient', { consumer, input, region }, producer), from };
      }
    }
  }

  async #sumGradient({ gradient, collective }: ShardProgram, pass: number): Promise<void> {
    const { transport } = this.#options;
    await gradient.fill(transport, pass);
    if (collective === undefined) return;
    await allReduce(collective, transport, floats(gradient.memory), { step: pass, task: collective.id });
  }

  async #runUpdate(task: UpdateTask): Promise<void> {
    const { summed, update } = this.#shards.get(task.shard)!;
    if (summed === undefined)
      throw new Error(`internal: shard ${task.shard} is updated before its gradient is complete`);
    await this.#wait(summed);
    await this.#compute(update);
    this.parameters.refresh(task.shard);
  }

  #send(task: TransferTask, from: Boxed<TensorMemory>, pass: number): void {
    const payload = packed(from, task.region);
    const sent = this.#options.transport.send(task.toDevice, { step: pass, task: task.id, round: 0 }, payload);
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
  const target = new Float32Array(regionVolume(region));
  copyRegion(from, { memory: target, frame: region }, region);
  return new Uint8Array(target.buffer);
}
