import type { Graph } from '../../graph/graph.ts';
import { opClasses } from '../../graph/op-classes.ts';
import type { OptimizerName } from '../../job/training-job.ts';
import { opDimensions } from '../../ops/index.ts';
import { opPart } from '../../ops/kernel.ts';
import { partMemoryBytes, shardMemoryBytes } from '../../tasks/memory.ts';
import { regionBytes } from '../../tasks/work.ts';
import type { Interval } from '../region.ts';
import type { Strategy } from '../strategy.ts';

/** What the first part of an op holds. */
interface PartBytes {
  readonly activations: number;
  /** By input, 0 for those that are no parameters. */
  readonly parameters: readonly number[];
}

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
  const classes = opClasses(graph);
  const known = new Map<string, PartBytes>();
  const bytes: number[] = [];
  const held = new Set<string>();
  for (const op of graph.ops) {
    const { degrees, devices } = configs[op.id]!;
    const key = `${classes[op.id]}:${degrees.join()}`;
    const part = known.get(key) ?? firstPart(graph, op.id, degrees);
    known.set(key, part);
    const stage = stageOf[op.id]!;
    const perDevice = devices.length / new Set(devices).size;
    let sum = (bytes[stage] ?? 0) + part.activations * perDevice;
    for (const [input, parameterBytes] of part.parameters.entries()) {
      const holding = `${stage}:${op.inputs[input]}`;
      if (parameterBytes === 0 || held.has(holding)) continue;
      held.add(holding);
      sum += shardMemoryBytes(parameterBytes, optimizer);
    }
    bytes[stage] = sum;
  }
  return Array.from(bytes, (sum) => sum ?? 0);
}

function firstPart(graph: Graph, id: number, degrees: readonly number[]): PartBytes {
  const op = graph.ops[id]!;
  const ranges = opDimensions(graph, op).map(({ size }, i): Interval => [0, size / degrees[i]!]);
  const { inputs, outputs } = opPart(graph, op, ranges);
  const inputBytes = inputs.map((region) => (region === undefined ? 0 : regionBytes(region)));
  const isParameter = (input: number): boolean => graph.tensors[op.inputs[input]!]!.role === 'parameter';
  const outputBytes = outputs.reduce((sum, region) => sum + regionBytes(region), 0);
  const activationBytes = inputBytes.reduce((sum, bytes, input) => sum + (isParameter(input) ? 0 : bytes), 0);
  return {
    activations: partMemoryBytes(outputBytes, activationBytes),
    parameters: inputBytes.map((bytes, input) => (isParameter(input) ? bytes : 0)),
  };
}
