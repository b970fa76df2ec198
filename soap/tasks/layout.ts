import type { Graph, Op } from '../graph/graph.ts';
import type { TrainingGraph } from '../training/loss.ts';
import { opDefinition, opDimensions } from '../ops/index.ts';
import { opPart } from '../ops/kernel.ts';
import type { Part } from '../ops/op.ts';
import { partRanges } from '../strategy/partition.ts';
import type { Region } from '../region/region.ts';
import { intersect } from '../region/region.ts';
import type { Strategy } from '../strategy/strategy.ts';
import { inputGradients } from '../graph/input-gradients.ts';
import type { ParameterShard } from './task-graph.ts';
import { parameterShards } from './shards.ts';

/** A part of an op on its device. */
export interface PlacedPart extends Part {
  readonly op: number;
  /** Index among the op's parts. */
  readonly index: number;
  readonly device: number;
}

/**
 * The data that one part reads from one producer part: their common box, in coordinates of the whole tensor. Pieces of
 * producers that hold partial sums overlap, and are added up.
 */
export interface Piece {
  readonly producer: PlacedPart;
  readonly region: Region;
}

/** Parts of an op that exchange statistics, in order: they differ only in the dimensions that the statistics run over. */
export type StatisticsGroup = readonly PlacedPart[];

/** The op that computes a tensor, and as which of its outputs. */
export interface Producer {
  readonly op: Op;
  readonly output: number;
}

/** An op that reads a tensor, and as which of its inputs. */
export interface TensorReader {
  readonly op: Op;
  readonly input: number;
}

/** A strategy applied to a graph: where every part of every op and every parameter shard lives. */
export interface Layout {
  readonly graph: Graph;
  /** By op id, then part index. */
  readonly parts: readonly (readonly PlacedPart[])[];
  /** By op id, then part index: the group that exchanges statistics with the part, itself included. */
  readonly groups: readonly (readonly StatisticsGroup[])[];
  /** By tensor id: what computes it, or undefined for inputs and parameters. */
  readonly producers: readonly (Producer | undefined)[];
  /** By tensor id: what reads it, by op, then input. */
  readonly readers: readonly (readonly TensorReader[])[];
  /** See `inputGradients`. */
  readonly gradients: readonly (readonly boolean[])[];
  readonly shards: readonly ParameterShard[];
  /** Of the step, see `TrainingGraph`. */
  readonly accumulationSteps: number;
}

/** Places the parts and shards of a valid strategy. */
export function layOut(
  { graph, accumulationSteps = 1 }: Pick<TrainingGraph, 'graph'> & Partial<TrainingGraph>,
  strategy: Strategy,
): Layout {
  const parts = graph.ops.map((op) => placeParts(graph, op, strategy));
  return {
    graph,
    parts,
    groups: graph.ops.map((op) => statisticsGroups(graph, op, parts[op.id]!)),
    producers: producersOf(graph),
    readers: readersOf(graph),
    gradients: inputGradients(graph),
    shards: parameterShards(graph, parts),
    accumulationSteps,
  };
}

/** What a part reads of an activation input, in order of producer parts; empty for data inputs and parameters. */
export function inputPieces(layout: Layout, consumer: PlacedPart, input: number): Piece[] {
  const tensor = layout.graph.ops[consumer.op]!.inputs[input]!;
  const source = layout.producers[tensor];
  const wanted = consumer.inputs[input];
  if (source === undefined || wanted === undefined) return [];
  const pieces: Piece[] = [];
  for (const producer of layout.parts[source.op.id]!) {
    const region = intersect(producer.outputs[source.output]!, wanted);
    if (region !== undefined) pieces.push({ producer, region });
  }
  return pieces;
}

/** Whether the parts of an op hold partial sums, so that its readers must add them up. */
export function holdsPartialSums(layout: Layout, op: Op): boolean {
  const [first, second] = layout.parts[op.id]!;
  if (first === undefined || second === undefined) return false;
  return opDimensions(layout.graph, op).some(({ axis, size }, i) => {
    const [start, end] = first.ranges[i]!;
    return axis === undefined && end - start < size;
  });
}

/** Whether a part has a backward pass: whether it reads anything whose gradient is wanted of it. */
export function hasBackward(layout: Layout, part: PlacedPart): boolean {
  return layout.gradients[part.op]!.some((wanted, input) => wanted && part.inputs[input] !== undefined);
}

/** Whether an op that reads a tensor has a share in its gradient. */
export function givesGradient({ gradients }: Layout, op: number, input: number): boolean {
  return gradients[op]![input]!;
}

/** Per input of an op, whether its gradient is wanted of the op. */
export function wantedGradients(layout: Layout, op: Op): readonly boolean[] {
  return layout.gradients[op.id]!;
}

function placeParts(graph: Graph, op: Op, strategy: Strategy): PlacedPart[] {
  const config = strategy.configs[op.id]!;
  return partRanges(opDimensions(graph, op), config.degrees).map((ranges, index) => ({
    ...opPart(graph, op, ranges),
    op: op.id,
    index,
    device: config.devices[index]!,
  }));
}

/** The group of each part, in order of the parts. */
function statisticsGroups(graph: Graph, op: Op, parts: readonly PlacedPart[]): StatisticsGroup[] {
  const over = opDefinition(op.kind).statistics?.over;
  if (over === undefined) return parts.map((part) => [part]);
  const dimensions = opDimensions(graph, op);
  const keyOf = ({ ranges }: PlacedPart): string =>
    ranges.filter((_, i) => !over.includes(dimensions[i]!.name)).join(';');
  const groups = Map.groupBy(parts, keyOf);
  return parts.map((part) => groups.get(keyOf(part))!);
}

/** By tensor id: what computes it, or undefined for inputs and parameters. */
export function producersOf(graph: Graph): (Producer | undefined)[] {
  const producers = Array.from<Producer | undefined>({ length: graph.tensors.length });
  for (const op of graph.ops) op.outputs.forEach((tensor, output) => (producers[tensor] = { op, output }));
  return producers;
}

function readersOf(graph: Graph): TensorReader[][] {
  const readers = graph.tensors.map((): TensorReader[] => []);
  for (const op of graph.ops) op.inputs.forEach((tensor, input) => readers[tensor]!.push({ op, input }));
  return readers;
}
