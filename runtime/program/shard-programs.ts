import type { OptimizerSettings } from '../../soap/job/training-job.ts';
import type { Region } from '../../soap/strategy/region.ts';
import { intersect } from '../../soap/strategy/region.ts';
import { gradientSources } from '../../soap/tasks/build.ts';
import type { Layout, PlacedPart } from '../../soap/tasks/layout.ts';
import type { CollectiveTask, ParameterShard, TaskGraph } from '../../soap/tasks/task-graph.ts';
import { allReduce } from '../collectives/all-reduce.ts';
import type { BoundKernel, KernelEngine } from '../kernels/kernels.ts';
import type { Transport } from '../transport/transport.ts';
import type { Assembly, Source } from './assembly.ts';
import { floats, sumOf } from './assembly.ts';
import type { KernelCache } from './kernel-cache.ts';
import type { ParameterStore } from './parameter-store.ts';
import type { MemoryOf } from './part-program.ts';

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

export interface ShardProgramsOptions {
  readonly layout: Layout;
  readonly tasks: TaskGraph;
  readonly device: number;
  readonly engine: KernelEngine;
  readonly kernels: KernelCache;
  readonly transport: Transport;
  readonly optimizer: OptimizerSettings;
  readonly parameters: ParameterStore;
  readonly gradInputOf: MemoryOf;
}

/** Sums the gradients of a device's shards as they come, and steps the optimizer. */
export class ShardPrograms {
  readonly #options: ShardProgramsOptions;
  readonly #shards = new Map<number, ShardProgram>();
  /** Shards that a part's backward task contributes to. */
  readonly #shardsOf = new Map<PlacedPart, number[]>();

  constructor(options: ShardProgramsOptions) {
    this.#options = options;
    const collectives = new Map<number, CollectiveTask>();
    for (const task of options.tasks.tasks) if (task.kind === 'collective') collectives.set(task.shard, task);
    for (const { shard } of options.parameters.states) this.#build(shard, collectives.get(shard.id));
  }

  /** Starts a training pass. */
  begin(): void {
    for (const shard of this.#shards.values()) {
      shard.missing = shard.contributors;
      shard.summed = undefined;
    }
  }

  /** Takes note that a part's backward task is done; gradients that are complete now start on their way. */
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

  /** Resolves when a shard's gradient is that of the whole batch. */
  async summed(shard: number): Promise<void> {
    const { summed } = this.#shards.get(shard)!;
    if (summed === undefined) throw new Error(`internal: shard ${shard} is updated before its gradient is complete`);
    await summed;
  }

  /** The optimizer's step on a shard; the parameters are to be refreshed after it. */
  update(shard: number): BoundKernel {
    return this.#shards.get(shard)!.update;
  }

  release(): void {
    for (const { update } of this.#shards.values()) update.release();
  }

  #build(shard: ParameterShard, collective: CollectiveTask | undefined): void {
    const { layout, engine, device, optimizer, parameters, kernels } = this.#options;
    const readers = gradientSources(layout, shard.tensor, shard.region).filter((part) => part.device === device);
    const contributors = new Set(readers);
    const sources = [...contributors].flatMap((part) => this.#gradientBoxes(part, shard.tensor, shard.region));
    const gradient = sumOf(engine, shard.region, sources);
    for (const part of contributors) this.#shardsOf.set(part, [...(this.#shardsOf.get(part) ?? []), shard.id]);
    this.#shards.set(shard.id, {
      gradient,
      update: parameters.bindUpdate(shard.id, gradient, optimizer, kernels),
      contributors: contributors.size,
      collective,
      missing: contributors.size,
      summed: undefined,
    });
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

  async #sum({ gradient, collective }: ShardProgram, pass: number): Promise<void> {
    const { transport } = this.#options;
    await gradient.fill(transport, pass);
    if (collective === undefined) return;
    await allReduce(collective, transport, floats(gradient.memory), { step: pass, task: collective.id });
  }
}
