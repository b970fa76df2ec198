import type { Cluster } from '../cluster/cluster.ts';
import type { CostSource } from '../cost/cost-source.ts';
import type { TrainingGraph } from '../graph/loss.ts';
import type { Region } from '../strategy/region.ts';
import { intersect } from '../strategy/region.ts';
import type { Strategy } from '../strategy/strategy.ts';
import type { Layout, Piece, PlacedPart } from './layout.ts';
import { inputPieces, layOut, wantedGradients } from './layout.ts';
import type {
  CollectiveTask,
  ComputeTask,
  ParameterShard,
  Task,
  TaskGraph,
  TransferTask,
  UpdateTask,
} from './task-graph.ts';
import { taskKey } from './task-key.ts';
import { allReduceTime, transferUs } from './transfer-time.ts';
import { partWork, regionBytes, updateWork } from './work.ts';

/**
 * Builds the task graph of one training iteration.
 *
 * A part has a forward and, where a gradient is wanted, a backward task on its device. Data between parts on one device is
 * an edge, on two devices a transfer; gradients go the other way. A parameter shard on several devices has a collective,
 * and an update on each.
 * @param strategy valid for the graph and the cluster (validateStrategy)
 */
export function buildTaskGraph(
  training: TrainingGraph,
  strategy: Strategy,
  cluster: Cluster,
  costs: CostSource,
): TaskGraph {
  return new TaskGraphBuilder(layOut(training, strategy), cluster, costs).build();
}

/** A task under construction: its edges still grow. */
type Draft<T extends Task = Task> = T & { readonly predecessors: number[]; readonly successors: number[] };

class TaskGraphBuilder {
  readonly #layout: Layout;
  readonly #cluster: Cluster;
  readonly #costs: CostSource;
  readonly #tasks: Draft[] = [];
  /** By op id, then part index. */
  readonly #forward: Draft[][] = [];
  readonly #backward: (Draft | undefined)[][] = [];

  constructor(layout: Layout, cluster: Cluster, costs: CostSource) {
    this.#layout = layout;
    this.#cluster = cluster;
    this.#costs = costs;
  }

  build(): TaskGraph {
    for (const parts of this.#layout.parts) {
      this.#forward.push(parts.map((part) => this.#compute('forward', part)));
    }
    for (const parts of this.#layout.parts) this.#backward.push(parts.map((part) => this.#backwardOf(part)));
    for (const parts of this.#layout.parts) for (const part of parts) this.#connect(part);
    this.#synchronise();
    return {
      tasks: this.#tasks,
      shards: this.#layout.shards,
      deviceCount: this.#cluster.devices.length,
      linkCount: this.#cluster.links.length,
    };
  }

  #compute(kind: 'forward' | 'backward', part: PlacedPart): Draft<ComputeTask> {
    const work = partWork(this.#layout.graph, part, kind);
    return this.#add({
      ...this.#edges(),
      kind,
      key: taskKey(kind, part.op, part.index),
      durationUs: this.#costs.durationUs(work, this.#cluster.devices[part.device]!),
      resources: [part.device],
      op: part.op,
      part: part.index,
      device: part.device,
    });
  }

  #backwardOf(part: PlacedPart): Draft | undefined {
    const op = this.#layout.graph.ops[part.op]!;
    if (!wantedGradients(this.#layout, op).includes(true)) return undefined;
    const task = this.#compute('backward', part);
    connect(this.#forward[part.op]![part.index]!, task);
    return task;
  }

  /** Draws the flow of activations into a part, and of gradients out of it. */
  #connect(part: PlacedPart): void {
    const forward = this.#forward[part.op]![part.index]!;
    const backward = this.#backward[part.op]![part.index];
    const op = this.#layout.graph.ops[part.op]!;
    op.inputs.forEach((tensor, input) => {
      for (const piece of inputPieces(this.#layout, part, input)) {
        const { producer } = piece;
        this.#flow('activation', this.#forward[producer.op]![producer.index]!, forward, part, input, piece);
        const producerBackward = this.#backward[producer.op]![producer.index];
        if (backward === undefined || producerBackward === undefined || !this.#layout.wantsGradient[tensor]) continue;
        this.#flow('gradient', backward, producerBackward, part, input, piece);
      }
    });
  }

  #flow(
    payload: 'activation' | 'gradient',
    from: Draft,
    to: Draft,
    consumer: PlacedPart,
    input: number,
    piece: Piece,
  ): void {
    if (piece.producer.device === consumer.device) {
      connect(from, to);
      return;
    }
    const transfer = this.#transfer(payload, consumer, input, piece);
    connect(from, transfer);
    connect(transfer, to);
  }

  #transfer(
    payload: 'activation' | 'gradient',
    consumer: PlacedPart,
    input: number,
    { producer, region }: Piece,
  ): Draft<TransferTask> {
    const [source, target] = payload === 'activation' ? [producer, consumer] : [consumer, producer];
    const bytes = regionBytes(region);
    return this.#add({
      ...this.#edges(),
      kind: 'transfer',
      key: taskKey(payload, consumer.op, consumer.index, input, producer.index),
      durationUs: transferUs(this.#cluster, source.device, target.device, bytes),
      resources: this.#links(this.#cluster.route(source.device, target.device)),
      payload,
      tensor: this.#layout.graph.ops[consumer.op]!.inputs[input]!,
      region,
      bytes,
      fromDevice: source.device,
      toDevice: target.device,
      producer: producer.op,
      producerPart: producer.index,
      consumer: consumer.op,
      consumerPart: consumer.index,
      consumerInput: input,
    });
  }

  /** Adds the collectives and updates of every shard. */
  #synchronise(): void {
    let indexInTensor = 0;
    this.#layout.shards.forEach((shard, i) => {
      indexInTensor = this.#layout.shards[i - 1]?.tensor === shard.tensor ? indexInTensor + 1 : 0;
      const collective = shard.devices.length > 1 ? this.#collective(shard, indexInTensor) : undefined;
      const updates = new Map(shard.devices.map((device) => [device, this.#update(shard, indexInTensor, device)]));
      for (const reader of gradientSources(this.#layout, shard.tensor, shard.region)) {
        const backward = this.#backward[reader.op]![reader.index]!;
        connect(backward, collective ?? updates.get(reader.device)!);
      }
      if (collective !== undefined) for (const update of updates.values()) connect(collective, update);
    });
  }

  #collective(shard: ParameterShard, indexInTensor: number): Draft<CollectiveTask> {
    const bytes = regionBytes(shard.region);
    const { algorithm, durationUs, links } = allReduceTime(this.#cluster, shard.devices, bytes);
    return this.#add({
      ...this.#edges(),
      kind: 'collective',
      key: taskKey('collective', shard.tensor, indexInTensor),
      durationUs,
      resources: this.#links(links),
      algorithm,
      shard: shard.id,
      devices: shard.devices,
      bytes,
    });
  }

  #update(shard: ParameterShard, indexInTensor: number, device: number): Draft<UpdateTask> {
    return this.#add({
      ...this.#edges(),
      kind: 'update',
      key: taskKey('update', shard.tensor, indexInTensor, 0, device),
      durationUs: this.#costs.durationUs(updateWork(shard.region), this.#cluster.devices[device]!),
      resources: [device],
      shard: shard.id,
      device,
    });
  }

  #links(ids: readonly number[]): number[] {
    return ids.map((id) => this.#cluster.devices.length + id);
  }

  #edges(): { id: number; predecessors: number[]; successors: number[] } {
    return { id: this.#tasks.length, predecessors: [], successors: [] };
  }

  #add<T extends Draft>(task: T): T {
    this.#tasks.push(task);
    return task;
  }
}

/** The parts whose backward task contributes to the gradient of a box of a parameter, by op, then part. */
export function gradientSources(layout: Layout, tensor: number, region: Region): PlacedPart[] {
  const sources: PlacedPart[] = [];
  for (const op of layout.graph.ops) {
    op.inputs.forEach((id, input) => {
      if (id !== tensor) return;
      for (const part of layout.parts[op.id]!) {
        if (intersect(part.inputs[input]!, region) !== undefined) sources.push(part);
      }
    });
  }
  return sources;
}

/** Adds an edge once. */
function connect(from: Draft, to: Draft): void {
  if (from.successors.includes(to.id)) return;
  from.successors.push(to.id);
  to.predecessors.push(from.id);
}
