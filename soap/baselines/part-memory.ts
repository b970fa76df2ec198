import type { Graph } from '../graph/graph.ts';
import { isTrained } from '../graph/graph.ts';
import { opClasses } from '../graph/op-classes.ts';
import type { OptimizerName } from '../job/training-job.ts';
import { opDimensions } from '../ops/index.ts';
import { opPart } from '../ops/kernel.ts';
import type { Part } from '../ops/op.ts';
import { producersOf } from '../tasks/layout.ts';
import { opNeeds } from '../tasks/liveness/op-needs.ts';
import type { OpSplit } from '../tasks/liveness/reused-memory.ts';
import { reusedBytes } from '../tasks/liveness/reused-memory.ts';
import { copyMemoryBytes, partMemoryBytes, shardMemoryBytes } from '../tasks/memory.ts';
import { regionBytes } from '../tasks/work.ts';
import type { Interval, Region } from '../region/region.ts';
import { sameRegion } from '../region/region.ts';
import type { Strategy } from '../strategy/strategy.ts';

/**
 * Bytes that the first device of each stage needs where memory is used again, where all devices of a stage have parts of equal
 * size: the estimate of `MemoryUse`, without placing every part.
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
  const needs = opNeeds(graph);
  /** What a part needs of memory to have an input: nothing where that is what its device computes. */
  const inputBytes = (id: number, tensor: number, region: Region): number => {
    const source = producers[tensor];
    const isWholeOutput = source !== undefined && sameRegion(parts[source.op.id]!.outputs[source.output]!, region);
    if (isWholeOutput && configs[source.op.id]!.devices[0] === configs[id]!.devices[0]) return 0;
    return copyMemoryBytes(regionBytes(region), isWholeOutput);
  };
  const bytes = Array.from({ length: Math.max(...stageOf) + 1 }, () => 0);
  const held = new Set<string>();
  const splits: OpSplit[] = [];
  for (const { id, inputs } of graph.ops) {
    const stage = stageOf[id]!;
    const { devices } = configs[id]!;
    let [copiedBytes, readBytes] = [0, 0];
    for (const [input, tensor] of inputs.entries()) {
      const region = parts[id]!.inputs[input];
      if (region === undefined) continue;
      const { role } = graph.tensors[tensor]!;
      if (role !== 'input') readBytes += regionBytes(region);
      if (role !== 'parameter') copiedBytes += inputBytes(id, tensor, region);
      else if (!held.has(`${stage}:${tensor}`)) {
        held.add(`${stage}:${tensor}`);
        bytes[stage]! += shardMemoryBytes(regionBytes(region), isTrained(graph.tensors[tensor]!), optimizer);
      }
    }
    const outputBytes = parts[id]!.outputs.reduce((sum, region) => sum + regionBytes(region), 0);
    const perDevice = devices.length / new Set(devices).size;
    bytes[stage]! += partMemoryBytes(outputBytes, needs.savedShare[id]!, copiedBytes) * perDevice;
    splits.push({
      outputBytes: Float64Array.of(outputBytes * perDevice),
      readBytes: Float64Array.of(readBytes),
      devices: [stage],
    });
  }
  const reused = reusedBytes(needs, splits, bytes.length);
  return bytes.map((all, stage) => all - reused[stage]!);
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
