import type { Region } from '../../soap/strategy/region.ts';
import { intersect } from '../../soap/strategy/region.ts';
import { gradientSources } from '../../soap/tasks/build.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import type { CollectiveTask, TaskGraph } from '../../soap/tasks/task-graph.ts';
import { allReduce } from '../collectives/all-reduce.ts';
import type { BoundKernel, KernelEngine, TensorBuffer } from '../kernels/kernels.ts';
import { addKernel, copyKernel } from '../optimizers/accumulation.ts';
import type { Optimizer } from '../optimizers/optimizer.ts';
import { squareSumCount, squareSums } from '../optimizers/square-sums.ts';
import type { Transport } from '../transport/transport.ts';
import type { WireElements } from '../wire/elements.ts';
import type { Assembly, Source } from './assembly.ts';
import { floats, sumOf } from './assembly.ts';
import type { Drafts } from './drafts.ts';
import { placed } from './drafts.ts';
import type { KernelCache } from './kernel-cache.ts';
import type { ParameterStore, ShardState } from './parameter-store.ts';
import type { MemoryOf } from './part-program.ts';
import type { Recorder } from './recorder.ts';
import type { Stage } from './segments/stage.ts';

/**
 * Elements that one run of an update kernel changes. What it writes in between then stays in the processor's cache: Adam on
 * 16 million weights takes 97 in place of 134 ms of CPU time, and has no copies of the weights in memory.
 */
const UPDATE_ELEMENTS = 2 ** 20;

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
  readonly gradient: Assembly;
  readonly update: BoundKernel;
  /** Undefined where a step has one micro-batch. */
  readonly accumulation: Accumulation | undefined;
  /** Sums of the gradient's squares, where this device counts them; see {@link squareSums}. */
  readonly squares: { readonly kernel: BoundKernel; readonly sums: TensorBuffer } | undefined;
  /** Backward tasks of this device that contribute. */
  readonly contributors: number;
  /** Undefined where this device alone holds the shard. */
  readonly collective: CollectiveTask | undefined;
  /** Contributors still to come in this pass. */
  missing: number;
  /** The summed gradient of this pass. */
  summed: Promise<void> | undefined;
  isSummed: boolean;
}

export interface ShardProgramsOptions {
  readonly layout: Layout;
  readonly tasks: TaskGraph;
  readonly device: number;
  readonly engine: KernelEngine;
  readonly drafts: Drafts;
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
  /** Parts of this device in the order of their backward tasks. */
  readonly backwardOrder: readonly PlacedPart[];
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
  /** Shards that a part's backward task contributes to last. */
  readonly #completedBy = new Map<PlacedPart, number[]>();
  /** What update kernels read as `rate0`... */
  readonly #rates: readonly TensorBuffer[];

  constructor(options: ShardProgramsOptions) {
    const { optimizer, engine } = options;
    this.#options = options;
    this.#rates = optimizer.rates(0, 0, 1).map(() => engine.allocate('float32', 1));
    const collectives = new Map<number, CollectiveTask>();
    for (const task of options.tasks.tasks) if (task.kind === 'collective') collectives.set(task.shard, task);
    for (const state of options.parameters.states) this.#build(state, collectives.get(state.shard.id));
  }

  /** What happens to the gradients of shards that a part's backward task contributes to last. */
  completedBy(part: PlacedPart): { readonly stages: readonly Stage[]; readonly startsCollective: boolean } {
    const completed = (this.#completedBy.get(part) ?? []).map((id) => this.#shards.get(id)!);
    return {
      stages: completed.flatMap(({ gradient }) => gradient.stage ?? []),
      startsCollective: completed.some(({ collective }) => collective !== undefined),
    };
  }

  /** Memory of gradients that other than segments read. */
  *readOutside(): Generator<TensorBuffer> {
    for (const { gradient } of this.#shards.values()) {
      yield gradient.memory;
      yield* gradient.copies;
    }
  }

  /** Of that, what is read on the host: to be summed or sent there. */
  *readOnHost(): Generator<TensorBuffer> {
    for (const { gradient, collective } of this.#shards.values()) {
      yield* gradient.copies;
      if (collective !== undefined) yield gradient.memory;
    }
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
  async accumulate(part: PlacedPart, pass: number, microBatch: number): Promise<ShardKernel[]> {
    const kernels: ShardKernel[] = [];
    for (const shard of this.#completedBy.get(part) ?? []) {
      const { accumulation, gradient } = this.#shards.get(shard)!;
      if (accumulation === undefined) continue;
      await this.#fill(gradient, pass);
      const isLast = microBatch === this.#options.accumulationSteps - 1;
      kernels.push({ shard, kernel: accumulation[isLast ? 'finish' : microBatch === 0 ? 'begin' : 'add'] });
    }
    return kernels;
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
      await squares.kernel.run();
      all.push(squares.sums);
    }
    await this.#options.engine.download(all);
    let sum = 0;
    for (const { host } of all) for (const value of floats(host)) sum += value;
    return sum;
  }

  /** The gradient of a shard as its update reads it; that of the whole batch once {@link summed} resolves. */
  async gradient(shard: number): Promise<Float32Array> {
    const { memory } = this.#shards.get(shard)!.gradient;
    await this.#options.engine.download([placed(memory)]);
    return floats(memory.host);
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
      squares?.kernel.release();
    }
  }

  #build(state: ShardState, collective: CollectiveTask | undefined): void {
    const { layout, drafts, device } = this.#options;
    const { shard } = state;
    const readers = gradientSources(layout, shard.tensor, shard.region).filter((part) => part.device === device);
    const contributors = new Set(readers);
    const sources = [...contributors].flatMap((part) => this.#gradientBoxes(part, shard.tensor, shard.region));
    const gradient = sumOf(drafts, shard.region, sources);
    // Sums over devices go on while segments run, and updates read it at any time.
    for (const memory of [gradient.memory, ...gradient.copies]) drafts.keep(memory);
    for (const part of contributors) this.#shardsOf.set(part, [...(this.#shardsOf.get(part) ?? []), shard.id]);
    const last = this.#options.backwardOrder.findLast((part) => contributors.has(part));
    if (last !== undefined) this.#completedBy.set(last, [...(this.#completedBy.get(last) ?? []), shard.id]);
    this.#shards.set(shard.id, {
      gradient,
      update: this.#bindUpdate(state, gradient),
      accumulation: this.#bindAccumulation(gradient),
      squares: this.#bindSquares(state, gradient),
      contributors: contributors.size,
      collective,
      missing: contributors.size,
      summed: undefined,
      isSummed: false,
    });
  }

  /** The optimizer's step on a shard, in place, a piece after the other. */
  #bindUpdate({ weight, optimizer: states }: ShardState, gradient: Assembly): BoundKernel {
    const { engine } = this.#options;
    const { length } = weight;
    const size = engine.cut === undefined ? length : UPDATE_ELEMENTS;
    const pieces: BoundKernel[] = [];
    for (let start = 0; start < length; start += size) {
      const end = Math.min(length, start + size);
      const piece = (buffer: TensorBuffer): TensorBuffer =>
        end - start === length ? buffer : engine.cut!(buffer, start, end);
      pieces.push(this.#bindPiece(piece(weight), states.map(piece), piece(placed(gradient.memory))));
    }
    return {
      async run() {
        for (const piece of pieces) await piece.run();
      },
      release() {
        for (const piece of pieces) piece.release();
      },
    };
  }

  #bindPiece(weight: TensorBuffer, states: readonly TensorBuffer[], gradient: TensorBuffer): BoundKernel {
    const { optimizer, kernels } = this.#options;
    const graph = optimizer.kernel(weight.length);
    const memory: Record<string, TensorBuffer> = { weight, gradient, output0: weight };
    states.forEach((state, index) => {
      memory[`state${index}`] = state;
      memory[`output${index + 1}`] = state;
    });
    this.#rates.forEach((rate, index) => (memory[`rate${index}`] = rate));
    const names = [...graph.inputs, ...graph.outputs].map(({ name }) => name);
    return kernels.get(graph).bind(Object.fromEntries(names.map((name) => [name, memory[name]!])));
  }

  #bindAccumulation({ memory }: Assembly): Accumulation | undefined {
    const { accumulationSteps, engine, kernels } = this.#options;
    if (accumulationSteps === 1) return undefined;
    const gradient = placed(memory);
    const { length } = gradient;
    const sum = engine.allocate('float32', length);
    const add = kernels.get(addKernel(length));
    return {
      begin: kernels.get(copyKernel(length)).bind({ gradient, output0: sum }),
      add: add.bind({ sum, gradient, output0: sum }),
      finish: add.bind({ sum, gradient, output0: gradient }),
    };
  }

  #bindSquares({ shard, weight: { length } }: ShardState, gradient: Assembly): ShardProgram['squares'] {
    const { takesNorm, device, engine, kernels } = this.#options;
    if (!takesNorm || shard.devices[0] !== device) return undefined;
    const sums = engine.allocate('float32', squareSumCount(length));
    return { kernel: kernels.get(squareSums(length)).bind({ gradient: placed(gradient.memory), output0: sums }), sums };
  }

  /** What a part adds to the gradient of a shard; twice where the op reads the parameter twice. */
  #gradientBoxes(part: PlacedPart, tensor: number, shard: Region): Source[] {
    const { inputs } = this.#options.layout.graph.ops[part.op]!;
    return inputs.flatMap((id, input): Source[] => {
      const read = part.inputs[input];
      const region = id === tensor && read !== undefined ? intersect(read, shard) : undefined;
      return region === undefined ? [] : [{ kind: 'local', region, from: this.#options.gradInputOf(part, input) }];
    });
  }

  /** Completes a gradient that the host puts together, and gives it to kernels. */
  async #fill({ fill, memory }: Assembly, pass: number): Promise<void> {
    const { transport, elements, engine } = this.#options;
    if (fill === undefined) return;
    await fill(transport, pass, elements);
    await engine.upload([placed(memory)]);
  }

  async #sum(shard: ShardProgram, pass: number): Promise<void> {
    const { gradient, collective, accumulation } = shard;
    const { transport, elements, engine } = this.#options;
    // Of several micro-batches it was filled before it was added to the others.
    if (accumulation === undefined) await this.#fill(gradient, pass);
    if (collective !== undefined) {
      if (accumulation !== undefined) await engine.download([placed(gradient.memory)]);
      const startMs = performance.now();
      const tag = { step: pass, task: collective.id };
      await allReduce(collective, transport, floats(gradient.memory.host), tag, elements);
      this.collectiveSeconds += (performance.now() - startMs) / 1000;
      this.#options.recorder?.record('collective', [collective.id], startMs);
      await engine.upload([placed(gradient.memory)]);
    }
    shard.isSummed = true;
  }
}
