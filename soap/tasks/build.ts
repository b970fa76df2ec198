import type { Cluster } from '../cluster/cluster.ts';
import type { CostSource } from '../cost/cost-source.ts';
import type { TrainingGraph } from '../training/loss.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { opDefinition } from '../ops/index.ts';
import { statisticsSize } from '../ops/kernel.ts';
import type { CollectiveTimes } from './collective-time.ts';
import { collectiveTimes } from './collective-time.ts';
import type { Layout, Piece, PlacedPart, StatisticsGroup } from './layout.ts';
import { hasBackward, inputPieces, layOut, wantedGradients } from './layout.ts';
import { gradientSources } from './gradient-sources.ts';
import type {
  CollectiveTask,
  ComputeTask,
  GatherTask,
  Hop,
  ParameterShard,
  Task,
  TaskGraph,
  TransferTask,
  UpdateTask,
} from './task-graph.ts';
import { taskKey, transferKey } from './task-key.ts';
import type { TaskOptions } from './task-options.ts';
import { linkUs, transferUs } from './transfer-time.ts';
import type { GradientHandling, MicroBatch } from './gradient-work.ts';
import { gradientHandling, shardWork, workUs } from './gradient-work.ts';
import { BYTES_PER_ELEMENT, partWork, regionBytes, statisticsWork, wireShare } from './work.ts';

/**
 * Builds the task graph of one training iteration: of one micro-batch, where a step has several.
 *
 * A part has a forward and, where a gradient is wanted, a backward task on its device. Data between parts on one device is
 * an edge, on two devices a transfer; gradients go the other way. Parts that exchange statistics have a task before, and a
 * gather between. A parameter shard on several devices has a collective, and an update on each, unless it is frozen. Of a micro-batch before the
 * last there are no collectives, and the update tasks only add the gradient to those before.
 * @param strategy valid for the graph and the cluster (validateStrategy)
 */
export function buildTaskGraph(
  training: TrainingGraph,
  strategy: Strategy,
  cluster: Cluster,
  costs: CostSource,
  options: TaskOptions = {},
  microBatch: MicroBatch = 'last',
): TaskGraph {
  const handling = gradientHandling(training, options);
  return new TaskGraphBuilder(layOut(training, strategy), cluster, costs, options, handling, microBatch).build();
}

/** A task under construction: its edges still grow. */
type Draft<T extends Task = Task> = T & { readonly predecessors: number[]; readonly successors: number[] };

/** The tasks of one direction of a part: the first takes what the part reads, the last gives what it writes. */
interface Pass {
  readonly first: Draft<ComputeTask>;
  readonly last: Draft<ComputeTask>;
}

type Direction = 'forward' | 'backward';

class TaskGraphBuilder {
  readonly #layout: Layout;
  readonly #cluster: Cluster;
  readonly #costs: CostSource;
  readonly #collectives: CollectiveTimes;
  readonly #wireShare: number;
  readonly #handling: GradientHandling;
  readonly #microBatch: MicroBatch;
  readonly #tasks: Draft[] = [];
  /** By op id, then part index. */
  readonly #forward: Pass[][] = [];
  readonly #backward: (Pass | undefined)[][] = [];

  constructor(
    layout: Layout,
    cluster: Cluster,
    costs: CostSource,
    { collectives, wire }: TaskOptions,
    handling: GradientHandling,
    microBatch: MicroBatch,
  ) {
    this.#layout = layout;
    this.#cluster = cluster;
    this.#costs = costs;
    this.#collectives = collectiveTimes(cluster, collectives);
    this.#wireShare = wireShare(wire);
    [this.#handling, this.#microBatch] = [handling, microBatch];
  }

  build(): TaskGraph {
    for (const parts of this.#layout.parts) {
      this.#forward.push(parts.map((part) => this.#pass('forward', part)));
    }
    for (const parts of this.#layout.parts) this.#backward.push(parts.map((part) => this.#backwardOf(part)));
    for (const groups of this.#layout.groups) for (const group of new Set(groups)) this.#gather(group);
    for (const parts of this.#layout.parts) for (const part of parts) this.#connect(part);
    this.#synchronise();
    return {
      tasks: this.#tasks,
      shards: this.#layout.shards,
      deviceCount: this.#cluster.devices.length,
      linkCount: this.#cluster.links.length,
    };
  }

  #pass(direction: Direction, part: PlacedPart): Pass {
    const group = this.#layout.groups[part.op]![part.index]!;
    const last = this.#compute(direction, 'main', part);
    if (group.length === 1 || this.#statisticsFloats(direction, part) === 0) return { first: last, last };
    return { first: this.#compute(direction, 'statistics', part), last };
  }

  #compute(kind: Direction, stage: ComputeTask['stage'], part: PlacedPart): Draft<ComputeTask> {
    const op = this.#layout.graph.ops[part.op]!;
    const wants = wantedGradients(this.#layout, op);
    const work = stage === 'main' ? partWork(part, op, kind, wants) : statisticsWork(part, op, kind);
    return this.#add({
      ...this.#edges(),
      kind,
      stage,
      key: taskKey(stage === 'main' ? kind : `${kind}Statistics`, part.op, part.index),
      durationUs: this.#costs.durationUs(work, this.#cluster.devices[part.device]!),
      resources: [part.device],
      op: part.op,
      part: part.index,
      device: part.device,
    });
  }

  #backwardOf(part: PlacedPart): Pass | undefined {
    if (!hasBackward(this.#layout, part)) return undefined;
    const pass = this.#pass('backward', part);
    connect(this.#forward[part.op]![part.index]!.last, pass.first);
    return pass;
  }

  #statisticsFloats(direction: Direction, part: PlacedPart): number {
    const { statistics } = opDefinition(this.#layout.graph.ops[part.op]!.kind);
    return statistics === undefined ? 0 : statisticsSize(statistics, direction, part);
  }

  /** Lets the parts of a group know each other's statistics, in both directions. */
  #gather(group: StatisticsGroup): void {
    const op = group[0]!.op;
    this.#gatherPasses(
      'forward',
      group,
      group.map(({ index }) => this.#forward[op]![index]!),
    );
    const backward = group.map(({ index }) => this.#backward[op]![index]);
    if (backward.every((pass) => pass !== undefined)) this.#gatherPasses('backward', group, backward);
  }

  #gatherPasses(direction: Direction, group: StatisticsGroup, passes: readonly Pass[]): void {
    if (passes[0]!.first === passes[0]!.last) return;
    const devices = [...new Set(group.map(({ device }) => device))].sort((a, b) => a - b);
    if (devices.length === 1) {
      for (const { first } of passes) for (const { last } of passes) connect(first, last);
      return;
    }
    const gather = this.#gatherTask(direction, group, devices);
    for (const { first, last } of passes) {
      connect(first, gather);
      connect(gather, last);
    }
  }

  #gatherTask(direction: Direction, group: StatisticsGroup, devices: readonly number[]): Draft<GatherTask> {
    const [{ op, index }] = [group[0]!];
    const bytes = this.#statisticsFloats(direction, group[0]!) * BYTES_PER_ELEMENT;
    const perDevice = Math.ceil(group.length / devices.length) * bytes;
    const { durationUs, links, devices: inOrder } = this.#collectives.allGather(devices, perDevice);
    return this.#add({
      ...this.#edges(),
      kind: 'gather',
      key: taskKey(`${direction}Gather`, op, index),
      durationUs,
      resources: this.#links(links),
      direction,
      op,
      parts: group.map((part) => part.index),
      devices: inOrder,
      bytes,
    });
  }

  /** Draws the flow of activations into a part, and of gradients out of it. */
  #connect(part: PlacedPart): void {
    const forward = this.#forward[part.op]![part.index]!.first;
    const backward = this.#backward[part.op]![part.index]?.last;
    const op = this.#layout.graph.ops[part.op]!;
    const wanted = wantedGradients(this.#layout, op);
    op.inputs.forEach((_, input) => {
      for (const piece of inputPieces(this.#layout, part, input)) {
        const { producer } = piece;
        this.#flow('activation', this.#forward[producer.op]![producer.index]!.last, forward, part, input, piece);
        const producerBackward = this.#backward[producer.op]![producer.index]?.first;
        if (backward === undefined || producerBackward === undefined || !wanted[input]) continue;
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
    const bytes = regionBytes(region) * this.#wireShare;
    return this.#add({
      ...this.#edges(),
      kind: 'transfer',
      key: transferKey(payload, consumer, input, producer.index, this.#layout.parts[producer.op]!.length),
      durationUs: transferUs(this.#cluster, source.device, target.device, bytes),
      resources: this.#links(this.#cluster.route(source.device, target.device)),
      hops: this.#cluster.route(source.device, target.device).map((id): Hop => {
        const { latencyUs } = this.#cluster.links[id]!;
        return { resource: this.#cluster.devices.length + id, holdUs: linkUs(this.#cluster, id, bytes), latencyUs };
      }),
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

  /** Adds the collectives and updates of every shard that is trained. */
  #synchronise(): void {
    let indexInTensor = 0;
    this.#layout.shards.forEach((shard, i) => {
      indexInTensor = this.#layout.shards[i - 1]?.tensor === shard.tensor ? indexInTensor + 1 : 0;
      if (!shard.isTrained) return;
      const summed = shard.devices.length > 1 && this.#microBatch === 'last';
      const collective = summed ? this.#collective(shard, indexInTensor) : undefined;
      const updates = new Map(shard.devices.map((device) => [device, this.#update(shard, indexInTensor, device)]));
      for (const reader of gradientSources(this.#layout, shard.tensor, shard.region)) {
        const backward = this.#backward[reader.op]![reader.index]!.last;
        connect(backward, collective ?? updates.get(reader.device)!);
      }
      if (collective !== undefined) for (const update of updates.values()) connect(collective, update);
    });
  }

  #collective(shard: ParameterShard, indexInTensor: number): Draft<CollectiveTask> {
    const bytes = regionBytes(shard.region);
    const { algorithm, durationUs, isRead, links, devices, nodes } = this.#collectives.allReduce(
      shard.devices,
      bytes,
      this.#wireShare,
    );
    return this.#add({
      ...this.#edges(),
      kind: 'collective',
      key: taskKey('collective', shard.tensor, indexInTensor),
      durationUs,
      resources: this.#links(links),
      algorithm,
      isRead,
      shard: shard.id,
      devices,
      nodes,
      bytes,
      messageBytes: bytes * this.#wireShare,
    });
  }

  #update(shard: ParameterShard, indexInTensor: number, device: number): Draft<UpdateTask> {
    const bytes = regionBytes(shard.region);
    const works = shardWork(bytes, this.#handling, this.#microBatch, device === shard.devices[0]);
    return this.#add({
      ...this.#edges(),
      kind: 'update',
      key: taskKey('update', shard.tensor, indexInTensor, 0, device),
      durationUs: workUs(works, this.#costs, this.#cluster.devices[device]!),
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

/** Adds an edge once. */
function connect(from: Draft, to: Draft): void {
  if (from.successors.includes(to.id)) return;
  from.successors.push(to.id);
  to.predecessors.push(from.id);
}
