import type { PlacedPart } from '../../soap/tasks/layout.ts';
import type { CollectiveTask, TaskGraph } from '../../soap/tasks/task-graph.ts';
import { allReduce } from '../collectives/all-reduce.ts';
import type { SharedGradients, SharedShard } from '../collectives/shared-gradients.ts';
import type { BoundKernel, KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import { together } from '../kernels/together.ts';
import { addKernel, copyKernel } from '../optimizers/accumulation.ts';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { pieceLengths, updateRunElements } from '../optimizers/optimizer.ts';
import { updateNames } from '../optimizers/update-rule.ts';
import { squareSumCount, squareSums } from '../optimizers/square-sums.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import { floats } from './assembly.ts';
import type { GradientMemory, TermRun } from './gradient-memory.ts';
import type { KernelCache } from './kernel-cache.ts';
import type { ParameterStore, ShardState } from './parameter-store.ts';
import type { MemoryOf } from './part-program.ts';
import type { Recorder } from './recorder.ts';
import type { Stage } from './segments/stage.ts';
import { sumStage, termStage } from './segments/sum-stage.ts';

/** Kernels over a shard's gradient and the sum of those of the micro-batches before. */
interface Accumulation {
  /** Sets the sum to the gradient. */
  readonly begin: BoundKernel;
  /** Adds the gradient to the sum. */
  readonly add: BoundKernel;
  /** Adds the sum to the gradient. */
  readonly finish: BoundKernel;
}

/** A kernel and the shard that it is run for. */
export interface ShardKernel {
  readonly shard: number;
  readonly kernel: BoundKernel;
}

/** A shard's gradient on this device, on its way to the update. */
interface ShardProgram {
  readonly gradient: TensorBuffer;
  readonly update: BoundKernel;
  /** Undefined where a step has one micro-batch. */
  readonly accumulation: Accumulation | undefined;
  /** What the gradient is the sum of, once it is complete. */
  readonly runs: readonly TermRun[];
  /** Sums of the gradient's squares, where this device counts them; see {@link squareSums}. */
  readonly squares: { readonly kernels: readonly BoundKernel[]; readonly sums: TensorBuffer } | undefined;
  /** Backward tasks of this device that contribute. */
  readonly contributors: number;
  /** Undefined where this device alone holds the shard. */
  readonly collective: CollectiveTask | undefined;
  /** Where its devices read each other's gradients; undefined where they are sent. */
  readonly shared: SharedShard | undefined;
  /** Contributors still to come in this pass. */
  missing: number;
  /** The summed gradient of this pass. */
  summed: Promise<void> | undefined;
  isSummed: boolean;
}

/** What a part does for gradients of shards once its backward task is done. */
export interface Contribution {
  /** Stages that add its terms to them. */
  readonly stages: readonly Stage[];
  /** Of those that are complete then, what is on its way to other devices next. */
  readonly sums: readonly TensorBuffer[];
}

export interface ShardProgramsOptions {
  readonly tasks: TaskGraph;
  readonly device: number;
  readonly engine: KernelEngine;
  readonly kernels: KernelCache;
  readonly transport: Transport;
  readonly optimizer: Optimizer;
  /** Whether the norm of all gradients is asked for. */
  readonly takesNorm: boolean;
  readonly parameters: ParameterStore;
  readonly gradInputOf: MemoryOf;
  readonly elements: WireElements;
  /** Micro-batches of a step. */
  readonly accumulationSteps: number;
  readonly gradientMemory: GradientMemory;
  /** Undefined where all gradients are sent. */
  readonly sharedGradients: SharedGradients | undefined;
  readonly recorder?: Recorder | undefined;
}

/** Sums the gradients of a device's shards as they come, and steps the optimizer. */
export class ShardPrograms {
  /** Lengths of all sums over devices since the start, added up. */
  collectiveSeconds = 0;
  readonly #options: ShardProgramsOptions;
  readonly #shards = new Map<number, ShardProgram>();
  /** Shards that a part's backward task contributes to. */
  readonly #shardsOf = new Map<PlacedPart, number[]>();
  readonly #stagesOf = new Map<PlacedPart, Stage[]>();
  /** Shards that a part's backward task contributes to last. */
  readonly #completedBy = new Map<PlacedPart, number[]>();
  /** What update kernels read as `rate0`... */
  readonly #rates: readonly TensorBuffer[];
  #summed: TensorBuffer | undefined;

  constructor(options: ShardProgramsOptions) {
    const { optimizer, engine } = options;
    this.#options = options;
    this.#rates = optimizer.rates(0, 0, 1).map(() => engine.allocate('float32', 1));
    const collectives = new Map<number, CollectiveTask>();
    for (const task of options.tasks.tasks) if (task.kind === 'collective') collectives.set(task.shard, task);
    for (const state of options.parameters.states) this.#build(state, collectives.get(state.shard.id));
  }

  contributionOf(part: PlacedPart): Contribution {
    const completed = (this.#completedBy.get(part) ?? []).map((id) => this.#shards.get(id)!);
    return {
      stages: this.#stagesOf.get(part) ?? [],
      sums: completed.flatMap(({ gradient, collective }) => (collective === undefined ? [] : [gradient])),
    };
  }

  /** Memory of gradients: other than segments read it. */
  gradients(): TensorBuffer[] {
    return [...this.#shards.values()].map(({ gradient }) => gradient);
  }

  /** Starts the last micro-batch of a step. */
  begin(): void {
    for (const shard of this.#shards.values()) {
      shard.missing = shard.contributors;
      shard.summed = undefined;
      shard.isSummed = false;
    }
  }

  /**
   * What adds the gradients that a part's backward task completes up with those of other micro-batches: to run once the task is
   * done, and before {@link contributed}. After the last micro-batch the gradients are those of the whole step.
   */
  accumulate(part: PlacedPart, microBatch: number): ShardKernel[] {
    const isLast = microBatch === this.#options.accumulationSteps - 1;
    const step = isLast ? 'finish' : microBatch === 0 ? 'begin' : 'add';
    return (this.#completedBy.get(part) ?? []).flatMap((shard) => {
      const { accumulation } = this.#shards.get(shard)!;
      return accumulation === undefined ? [] : [{ shard, kernel: accumulation[step] }];
    });
  }

  /** Takes note that a part's backward task is done in a step's last micro-batch; gradients that are complete now start on their way. */
  contributed(part: PlacedPart, pass: number): void {
    for (const id of this.#shardsOf.get(part) ?? []) {
      const shard = this.#shards.get(id)!;
      shard.missing -= 1;
      if (shard.missing > 0) continue;
      shard.summed = this.#sum(shard, pass);
      // A failure is seen by the update that awaits it; until then it must not count as unhandled.
      shard.summed.catch(() => undefined);
    }
  }

  /** Whether a shard's gradient is complete, so that {@link summed} resolves at once. */
  isSummed(shard: number): boolean {
    return this.#shards.get(shard)!.isSummed;
  }

  /** Resolves when a shard's gradient is that of the whole batch. */
  async summed(shard: number): Promise<void> {
    const { summed } = this.#shards.get(shard)!;
    if (summed === undefined) throw new Error(`internal: shard ${shard} is updated before its gradient is complete`);
    await summed;
  }

  /**
   * Waits for all gradients. Returns the sum of the squares of those that this device counts: of shards whose first holder it
   * is, in order. Only where {@link ShardProgramsOptions.takesNorm}.
   */
  async squares(): Promise<number> {
    const all: TensorBuffer[] = [];
    for (const [id, { squares }] of this.#shards) {
      await this.summed(id);
      if (squares === undefined) continue;
      for (const kernel of squares.kernels) await kernel.run();
      all.push(squares.sums);
    }
    await this.#options.engine.download(all);
    let sum = 0;
    for (const { host } of all) for (const value of floats(host)) sum += value;
    return sum;
  }

  /** The gradient of a shard as its update reads it; that of the whole batch once {@link summed} resolves, until the next pass. */
  async gradient(shard: number): Promise<Float32Array> {
    const { gradient, runs } = this.#shards.get(shard)!;
    await this.#options.engine.download([gradient]);
    if (runs.every(({ terms }) => terms.length === 1)) return floats(gradient.host);
    const sum = new Float32Array(gradient.length);
    for (const { start, end, terms } of runs) {
      const values = terms.map(({ host }) => floats(host));
      for (let i = start; i < end; i++) for (const term of values) sum[i]! += term[i]!;
    }
    return sum;
  }

  /** Resolves when this device may write the gradients of a pass: those of the last one are read. */
  async writable(): Promise<void> {
    await this.#options.sharedGradients?.writable();
  }

  /** Says that all sums of a pass were read. */
  finish(pass: number): void {
    this.#options.sharedGradients?.finish(pass);
  }

  /** Sets what the updates that follow read; see {@link Optimizer.rates}. */
  async setRates(step: number, learningRate: number, gradientScale: number): Promise<void> {
    const values = this.#options.optimizer.rates(step, learningRate, gradientScale);
    this.#rates.forEach(({ host }, index) => (host[0] = values[index]!));
    await this.#options.engine.upload(this.#rates);
  }

  /** The optimizer's step on a shard; the parameters are to be refreshed after it. */
  update(shard: number): BoundKernel {
    return this.#shards.get(shard)!.update;
  }

  release(): void {
    for (const { update, squares, accumulation } of this.#shards.values()) {
      update.release();
      for (const kernel of Object.values(accumulation ?? {})) kernel.release();
      for (const kernel of squares?.kernels ?? []) kernel.release();
    }
  }

  #build(state: ShardState, collective: CollectiveTask | undefined): void {
    const { gradientMemory, gradInputOf, sharedGradients } = this.#options;
    const { shard } = state;
    const { memory: gradient, terms, runs } = gradientMemory.ofShard(shard.id);
    terms.forEach(({ part, input }, index) => {
      const term = gradInputOf(part, input);
      if (term.memory === gradient) return;
      const stage = termStage(shard.region, term, gradient, index === 0);
      this.#stagesOf.set(part, [...(this.#stagesOf.get(part) ?? []), stage]);
    });
    const contributors = new Set(terms.map(({ part }) => part));
    for (const part of contributors) this.#shardsOf.set(part, [...(this.#shardsOf.get(part) ?? []), shard.id]);
    const last = terms.at(-1)?.part;
    if (last !== undefined) this.#completedBy.set(last, [...(this.#completedBy.get(last) ?? []), shard.id]);
    this.#shards.set(shard.id, {
      gradient,
      update: this.#bindUpdate(state, runs),
      accumulation: this.#bindAccumulation(gradient),
      runs,
      squares: this.#bindSquares(state, runs),
      contributors: contributors.size,
      collective,
      shared: sharedGradients?.shard(shard.id),
      missing: contributors.size,
      summed: undefined,
      isSummed: false,
    });
  }

  /** The optimizer's step on a shard, in place; several kernels at once where the engine can. */
  #bindUpdate(state: ShardState, runs: readonly TermRun[]): BoundKernel {
    const { cut, concurrency = 1 } = this.#options.engine;
    const { length } = state.weight;
    const size = cut === undefined ? length : updateRunElements(length, concurrency);
    const kernels: BoundKernel[] = [];
    for (const { start: first, end: last, terms } of runs) {
      for (let start = first; start < last; start += size) {
        kernels.push(this.#bindPieces(state, terms, start, Math.min(last, start + size)));
      }
    }
    return together(kernels, concurrency);
  }

  #cut(buffer: TensorBuffer, start: number, end: number): TensorBuffer {
    return end - start === buffer.length ? buffer : this.#options.engine.cut!(buffer, start, end);
  }

  /** One kernel for the elements from `start` to `end`, as one piece where buffers are not to be cut. */
  #bindPieces(
    { weight, optimizer: states }: ShardState,
    terms: readonly TensorBuffer[],
    start: number,
    end: number,
  ): BoundKernel {
    const { optimizer, kernels, engine } = this.#options;
    const lengths = engine.cut === undefined ? [end - start] : pieceLengths(end - start);
    const graph = optimizer.kernel(lengths, terms.length);
    const memory: Record<string, TensorBuffer> = {};
    let at = start;
    for (const [piece, length] of lengths.entries()) {
      const cut = (buffer: TensorBuffer): TensorBuffer => this.#cut(buffer, at, at + length);
      const names = updateNames(piece, terms.length, states.length);
      const kept = [cut(weight), ...states.map(cut)];
      [names.weight, ...names.states].forEach((name, index) => (memory[name] = kept[index]!));
      names.outputs.forEach((name, index) => (memory[name] = kept[index]!));
      names.gradients.forEach((name, index) => (memory[name] = cut(terms[index]!)));
      at += length;
    }
    this.#rates.forEach((rate, index) => (memory[`rate${index}`] = rate));
    const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
    return kernels.get(graph).bind(Object.fromEntries(names.map((name) => [name, memory[name]!])));
  }

  #bindAccumulation(gradient: TensorBuffer): Accumulation | undefined {
    const { accumulationSteps, engine, kernels } = this.#options;
    if (accumulationSteps === 1) return undefined;
    const { length } = gradient;
    const sum = engine.allocate('float32', length);
    const add = kernels.get(addKernel(length));
    return {
      begin: kernels.get(copyKernel(length)).bind({ gradient, output0: sum }),
      add: add.bind({ sum, gradient, output0: sum }),
      finish: add.bind({ sum, gradient, output0: gradient }),
    };
  }

  #bindSquares({ shard, weight: { length } }: ShardState, runs: readonly TermRun[]): ShardProgram['squares'] {
    const { takesNorm, device, engine, kernels } = this.#options;
    if (!takesNorm || shard.devices[0] !== device) return undefined;
    const sums = engine.allocate('float32', squareSumCount(length));
    const whole = runs.every(({ terms }) => terms.length === 1);
    const gradient = whole ? runs[0]!.terms[0]! : this.#cut(this.#scratch(), 0, length);
    const square = kernels.get(squareSums(length)).bind({ gradient, output0: sums });
    return { kernels: whole ? [square] : [...this.#bindSum(runs, gradient), square], sums };
  }

  /** Adds up the terms of a gradient. */
  #bindSum(runs: readonly TermRun[], sum: TensorBuffer): BoundKernel[] {
    return runs
      .filter(({ start, end }) => start < end)
      .map(({ start, end, terms }) => {
        const pieces = terms.map((term) => this.#cut(term, start, end));
        const { graph, memory } = sumStage([end - start], pieces, this.#cut(sum, start, end));
        return this.#options.kernels.get(graph).bind(memory);
      });
  }

  /** Memory for a sum that is looked at before the next one: of the largest shard. */
  #scratch(): TensorBuffer {
    const lengths = [...this.#options.parameters.states].map(({ weight }) => weight.length);
    return (this.#summed ??= this.#options.engine.allocate('float32', Math.max(...lengths)));
  }

  async #sum(shard: ShardProgram, pass: number): Promise<void> {
    const { gradient, collective, accumulation, shared } = shard;
    const { transport, elements, engine, sharedGradients } = this.#options;
    if (collective !== undefined) {
      if (accumulation !== undefined) await engine.download([gradient]);
      const startMs = performance.now();
      const tag = { step: pass, task: collective.id };
      if (shared !== undefined) await sharedGradients!.complete(shared, pass);
      else await allReduce(collective, transport, floats(gradient.host), tag, elements);
      this.collectiveSeconds += (performance.now() - startMs) / 1000;
      this.#options.recorder?.record('collective', [collective.id], startMs);
      await engine.upload([gradient]);
    }
    shard.isSummed = true;
  }
}
