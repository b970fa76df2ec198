import type { Graph, Op } from '../graph/graph.ts';
import type { TrainingGraph } from '../graph/loss.ts';
import { opDimensions } from '../ops/index.ts';
import { opPart } from '../ops/kernel.ts';
import type { Part } from '../ops/op.ts';
import { partRegions } from '../strategy/partition.ts';
import type { Region } from '../strategy/region.ts';
import { intersect } from '../strategy/region.ts';
import type { Strategy } from '../strategy/strategy.ts';
import type { ParameterShard } from './task-graph.ts';
import { parameterShards } from './shards.ts';

/** A part of an op on its device. */
export interface PlacedPart extends Part {
  readonly op: number;
  /** Index among the op's parts. */
  readonly index: number;
  readonly device: number;
}

/** The data that one part reads from one producer part: their common box, in coordinates of the whole tensor. */
export interface Piece {
  readonly producer: PlacedPart;
  readonly region: Region;
}

/** A strategy applied to a graph: where every part of every op and every parameter shard lives. */
export interface Layout {
  readonly graph: Graph;
  /** By op id, then part index. */
  readonly parts: readonly (readonly PlacedPart[])[];
  /** By tensor id: the op that computes it, or undefined for inputs and parameters. */
  readonly producers: readonly (Op | undefined)[];
  /** By tensor id: whether training needs its gradient. */
  readonly wantsGradient: readonly boolean[];
  readonly shards: readonly ParameterShard[];
}

/** Places the parts and shards of a valid strategy. */
export function layOut({ graph }: TrainingGraph, strategy: Strategy): Layout {
  const parts = graph.ops.map((op) => placeParts(graph, op, strategy));
  return {
    graph,
    parts,
    producers: producersOf(graph),
    wantsGradient: gradientTensors(graph),
    shards: parameterShards(graph, parts),
  };
}

/** What a part reads of an activation input, in order of producer parts; empty for data inputs and parameters. */
export function inputPieces(layout: Layout, consumer: PlacedPart, input: number): Piece[] {
  const tensor = layout.graph.ops[consumer.op]!.inputs[input]!;
  const producerOp = layout.producers[tensor];
  if (producerOp === undefined) return [];
  const pieces: Piece[] = [];
  for (const producer of layout.parts[producerOp.id]!) {
    const region = intersect(producer.output, consumer.inputs[input]!);
    if (region !== undefined) pieces.push({ producer, region });
  }
  return pieces;
}

/** Per input of an op, whether its gradient is wanted. */
export function wantedGradients(layout: Layout, op: Op): boolean[] {
  return op.inputs.map((tensor) => layout.wantsGradient[tensor]!);
}

function placeParts(graph: Graph, op: Op, strategy: Strategy): PlacedPart[] {
  const config = strategy.configs[op.id]!;
  const regions = partRegions(graph.tensors[op.outputs[0]!]!.shape, opDimensions(graph, op), config.degrees);
  return regions.map((output, index) => ({
    ...opPart(graph, op, output),
    op: op.id,
    index,
    device: config.devices[index]!,
  }));
}

function producersOf(graph: Graph): (Op | undefined)[] {
  const producers = Array.from<Op | undefined>({ length: graph.tensors.length });
  for (const op of graph.ops) for (const tensor of op.outputs) producers[tensor] = op;
  return producers;
}

/** A gradient is wanted for parameters and for whatever is computed from them. */
function gradientTensors(graph: Graph): boolean[] {
  const wants = graph.tensors.map(({ role }) => role === 'parameter');
  for (const op of graph.ops) {
    if (op.inputs.some((tensor) => wants[tensor])) for (const tensor of op.outputs) wants[tensor] = true;
  }
  return wants;
}
