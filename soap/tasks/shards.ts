import type { Graph, Shape } from '../graph/graph.ts';
import { isTrained } from '../graph/graph.ts';
import type { Part } from '../ops/op.ts';
import type { Interval, Region } from '../region/region.ts';
import { intersect } from '../region/region.ts';
import type { ParameterShard } from './task-graph.ts';

/** What of a part says which boxes of parameters its device has. */
interface ReadingPart extends Pick<Part, 'inputs'> {
  readonly device: number;
}

interface Reader {
  readonly region: Region;
  readonly device: number;
}

/**
 * Cuts every parameter into the largest boxes that each reader reads as a whole or not at all, so that a box's gradients
 * have the same shape on every device. Ops that share a parameter may split it differently.
 */
export function parameterShards(graph: Graph, parts: readonly (readonly ReadingPart[])[]): ParameterShard[] {
  const shards: ParameterShard[] = [];
  const readers = readersByTensor(graph, parts);
  for (const parameter of graph.tensors) {
    const { id: tensor, shape, role } = parameter;
    if (role !== 'parameter') continue;
    for (const region of commonBoxes(shape, readers[tensor]!)) {
      const devices = holders(region, readers[tensor]!);
      if (devices.length > 0)
        shards.push({ id: shards.length, tensor, region, devices, isTrained: isTrained(parameter) });
    }
  }
  return shards;
}

function readersByTensor(graph: Graph, parts: readonly (readonly ReadingPart[])[]): Reader[][] {
  const readers: Reader[][] = graph.tensors.map(() => []);
  for (const op of graph.ops) {
    op.inputs.forEach((tensor, input) => {
      if (graph.tensors[tensor]!.role !== 'parameter') return;
      for (const { inputs, device } of parts[op.id]!) {
        const region = inputs[input];
        if (region !== undefined) readers[tensor]!.push({ region, device });
      }
    });
  }
  return readers;
}

/** The grid that the borders of all readers' boxes draw, row-major. */
function commonBoxes(shape: Shape, readers: readonly Reader[]): Region[] {
  let boxes: Interval[][] = [[]];
  shape.forEach((extent, axis) => {
    const borders = new Set([0, extent, ...readers.flatMap(({ region }) => region[axis]!)]);
    const cuts = [...borders].sort((a, b) => a - b);
    const intervals = cuts.slice(1).map((end, k): Interval => [cuts[k]!, end]);
    boxes = boxes.flatMap((box) => intervals.map((interval) => [...box, interval]));
  });
  return boxes;
}

function holders(region: Region, readers: readonly Reader[]): number[] {
  const devices = new Set<number>();
  for (const reader of readers) {
    if (intersect(region, reader.region) !== undefined) devices.add(reader.device);
  }
  return [...devices].sort((a, b) => a - b);
}
