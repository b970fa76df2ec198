import type { PlacedPart } from '../../../soap/tasks/layout.ts';
import type { CollectiveTask, TaskGraph } from '../../../soap/tasks/task-graph.ts';
import { allReduce } from '../../collectives/all-reduce.ts';
import type { SharedGradients } from '../../collectives/shared-gradients.ts';
import type { BoundKernel, KernelEngine, TensorBuffer } from '../../kernels/kernels.ts';
import type { Optimizer } from '../../optimizers/optimizer.ts';
import type { Transport } from '../../transport/transport.ts';
import type { WireElements } from '../../wire/elements.ts';
import { floats } from '../assembly.ts';
import type { GradientMemory } from '../gradient-memory.ts';
import type { KernelCache } from '../kernel-cache.ts';
import type { ParameterStore, ShardState } from '../parameter-store.ts';
import type { MemoryOf } from '../part-program.ts';
import type { Recorder } from '../recorder.ts';
import type { Stage } from '../segments/stage.ts';
import { termStage } from '../segments/sum-stage.ts';
import { bindAccumulation } from './accumulation.ts';
import { Contributions } from './contributions.ts';
import type { ShardProgram } from './shard-program.ts';
import { releaseShard, wholeGradient } from './shard-program.ts';
import type { ShardSquares } from './squares.ts';
import { Squares } from './squares.ts';
import { bindUpdates } from './update.ts';

/** Elements of weights that one kernel updates on a device: so many take longer than its start does. */
const GROUP_ELEMENTS = 2 ** 23;

/** A kernel and the shard that it is run for. */
export interface ShardKernel {
  readonly shard: number;
  readonly kernel: BoundKernel;
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

/** Sums the gradients of a device's shards that are trained as they come, and steps the optimizer. */
export class ShardPrograms {
  /** Lengths of all sums over devices since the start, added up. */
  collectiveSeconds = 0;
  readonly #options: ShardProgramsOptions;
  readonly #shards = new Map<number, ShardProgram>();
  readonly #contributions = new Contributions();
  readonly #squares: Squares;
  /** What update kernels read as `rate0`... */
  readonly #rates: readonly TensorBuffer[];

  constructor(options: ShardProgramsOptions) {
    const { optimizer, engine, kernels, parameters } = options;
    this.#options = options;
    this.#squares = new Squares(engine, kernels, parameters);
    this.#rates = optimizer.rates(0, 0, 1).map(() => engine.allocate('float32', 1));
    const collectives = new Map<number, CollectiveTask>();
    for (const task of options.tasks.tasks) if (task.kind === 'collective') collectives.set(task.shard, task);
    for (const state of parameters.states)
      if (state.shard.isTrained) this.#build(state, collectives.get(state.shard.id));
  }

  contributionOf(part: PlacedPart): Contribution {
    const completed = this.#contributions.completedBy(part).map((id) => this.#shards.get(id)!);
    return {
      stages: this.#contributions.stagesOf(part),
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
    return this.#contributions.completedBy(part).flatMap((shard) => {
      const { accumulation } = this.#shards.get(shard)!;
      return accumulation === undefined ? [] : [{ shard, kernel: accumulation[step] }];
    });
  }

  /** Takes note that a part's backward task is done in a step's last micro-batch; gradients that are complete now start on their way. */
  contributed(part: PlacedPart, pass: number): void {
    for (const id of this.#contributions.shardsOf(part)) {
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
   * @param run runs a kernel
   */
  async squares(run: (kernel: BoundKernel) => Promise<void>): Promise<number> {
    const all: ShardSquares[] = [];
    for (const [id, { squares }] of this.#shards) {
      await this.summed(id);
      if (squares === undefined) continue;
      for (const kernel of squares.kernels) await run(kernel);
      all.push(squares);
    }
    return await this.#squares.sum(all);
  }

  /** The gradient of a shard as its update reads it; that of the whole batch once {@link summed} resolves, until the next pass. */
  gradient(shard: number): Promise<Float32Array> {
    return wholeGradient(this.#options.engine, this.#shards.get(shard)!);
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

  /**
   * Which shards, of some that are updated one after the other, have one kernel together: where the engine starts kernels on a device, as few
   * as are not too large. What others hold too is updated when its sum has come, apart from the rest.
   */
  grouped(shards: readonly number[]): number[][] {
    const groups: number[][] = [];
    let elements = Infinity;
    for (const shard of shards) {
      const { gradient, collective } = this.#shards.get(shard)!;
      const isApart = this.#options.engine.cut !== undefined || collective !== undefined;
      elements += gradient.length;
      if (!isApart && elements <= GROUP_ELEMENTS) groups.at(-1)!.push(shard);
      else {
        groups.push([shard]);
        elements = isApart ? Infinity : gradient.length;
      }
    }
    return groups;
  }

  /** The optimizer's step on shards of a group; the parameters are to be refreshed after it, and the caller releases it. */
  bindUpdate(shards: readonly number[]): BoundKernel {
    const { optimizer, engine, kernels, parameters } = this.#options;
    const updates = shards.map((shard) => ({ state: parameters.state(shard), runs: this.#shards.get(shard)!.runs }));
    return bindUpdates({ optimizer, engine, kernels, rates: this.#rates }, updates);
  }

  release(): void {
    for (const shard of this.#shards.values()) releaseShard(shard);
  }

  #build(state: ShardState, collective: CollectiveTask | undefined): void {
    const { gradientMemory, gradInputOf, sharedGradients, device, engine, kernels } = this.#options;
    const { shard } = state;
    const { memory: gradient, terms, runs } = gradientMemory.ofShard(shard.id);
    const contributors = this.#contributions.add(shard.id, terms, ({ part, input }, index) => {
      const term = gradInputOf(part, input);
      return term.memory === gradient ? undefined : termStage(shard.region, term, gradient, index === 0);
    });
    const accumulates = this.#options.accumulationSteps > 1;
    const counts = this.#options.takesNorm && shard.devices[0] === device;
    this.#shards.set(shard.id, {
      gradient,
      accumulation: accumulates ? bindAccumulation(engine, kernels, gradient) : undefined,
      runs,
      squares: counts ? this.#squares.bind(state.weight.length, runs) : undefined,
      contributors,
      collective,
      shared: sharedGradients?.shard(shard.id),
      missing: contributors,
      summed: undefined,
      isSummed: false,
    });
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
