import type { Graph } from '../graph/graph.ts';
import { opDimensions } from '../ops/index.ts';
import { MAX_PARTS, partsOf } from './partition.ts';
import type { Strategy } from './strategy.ts';

/** Everything that is wrong with a strategy for a graph on so many devices; empty when it can be laid out. */
export function validateStrategy(graph: Graph, deviceCount: number, { configs }: Strategy): string[] {
  if (configs.length !== graph.ops.length) {
    return [`the strategy has ${configs.length} configurations; expected one for each of ${graph.ops.length} ops`];
  }
  return graph.ops.flatMap((op) => {
    const { degrees, devices } = configs[op.id]!;
    const dimensions = opDimensions(graph, op);
    const problem = (text: string): string => `op '${op.name}': ${text}`;
    if (degrees.length !== dimensions.length) {
      return [
        problem(
          `${degrees.length} degrees; expected ${dimensions.length}: ${dimensions.map(({ name }) => name).join(', ')}`,
        ),
      ];
    }
    const problems = dimensions.flatMap(({ name, size }, i) =>
      isDivisor(degrees[i]!, size) ? [] : [problem(`degree ${degrees[i]} of '${name}'; expected a divisor of ${size}`)],
    );
    const parts = partsOf(degrees);
    if (parts > MAX_PARTS) problems.push(problem(`${parts} parts; expected at most ${MAX_PARTS}`));
    if (devices.length !== parts)
      problems.push(problem(`${devices.length} devices; expected ${parts}, one for each part`));
    const unknown = devices.filter((device) => !Number.isInteger(device) || device < 0 || device >= deviceCount);
    if (unknown.length > 0)
      problems.push(problem(`device ${unknown.join(', ')}; the cluster has 0 to ${deviceCount - 1}`));
    return problems;
  });
}

function isDivisor(degree: number, size: number): boolean {
  return Number.isInteger(degree) && degree > 0 && size % degree === 0;
}
