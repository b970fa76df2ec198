import type { Graph } from '../../graph/graph.ts';
import { opClasses } from '../../graph/op-classes.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import { opDimensions } from '../../ops/index.ts';
import { opPart } from '../../ops/kernel.ts';
import type { Part } from '../../ops/op.ts';
import { producersOf } from '../../tasks/layout.ts';
import { partMemoryBytes, shardMemoryBytes } from '../../tasks/memory.ts';
import { regionBytes } from '../../tasks/work.ts';
import type { Interval, Region } from '../region.ts';
import { sameRegion } from '../region.ts';
import type { Strategy } from '../strategy.ts';

/**
 * Bytes that the first device of each stage needs, where all devices of a stage have parts of equal size: the numbers of
 * `deviceMemoryBytes`, without placing every part.
 * @param stageOf by op id
 */
export function stageMemoryBytes(
  graph: Graph,
  { configs }: Strategy,
  stageOf: readonly number[],
  optimizer: OptimizerName,
): number[] {
  const parts = firstParts(
    graph,
    configs.map(({ degrees }) => degrees),
  );
  const producers = producersOf(graph);
  const isHere = (id: number, tensor: number, region: Region): boolean => {
    const source = producers[tensor];
    if (source === undefined || configs[source.op.id]!.devices[0] !== configs[id]!.devices[0]) return false;
    return sameRegion(parts[source.op.id]!.outputs[source.output]!, region);
  };
  const bytes = Array.from({ length: Math.max(...stageOf) + 1 }, () => 0);
  const held = new Set<string>();
  for (const { id, inputs } of graph.ops) {
    const stage = stageOf[id]!;
    const { devices } = configs[id]!;
    let copiedBytes = 0;
    for (const [input, tensor] of inputs.entries()) {
      const region = parts[id]!.inputs[input];
      if (region === undefined) continue;
      if (graph.tensors[tensor]!.role !== 'parameter') {
        if (!isHere(id, tensor, region)) copiedBytes += regionBytes(region);
      } else if (!held.has(`${stage}:${tensor}`)) {
        held.add(`${stage}:${tensor}`);
        bytes[stage]! += shardMemoryBytes(regionBytes(region), optimizer);
      }
    }
    const outputBytes = parts[id]!.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    bytes[stage]! += partMemoryBytes(outputBytes, copiedBytes) * (devices.length / new Set(devices).size);
  }
  return bytes;
}

/** The first part of each op; ops that are alike and cut alike share it. */
function firstParts(graph: Graph, degrees: readonly (readonly number[])[]): Part[] {
  const classes = opClasses(graph);
  const known = new Map<string, Part>();
  return graph.ops.map((op) => {
    const key = `${classes[op.id]}:${degrees[op.id]!.join()}`;
    let part = known.get(key);
    if (part === undefined) {
      const ranges = opDimensions(graph, op).map(({ size }, i): Interval => [0, size / degrees[op.id]![i]!]);
      part = opPart(graph, op, ranges);
      known.set(key, part);
    }
    return part;
  });
}
