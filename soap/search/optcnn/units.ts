import type { Graph } from '../../graph/graph.ts';
import type { Dimension } from '../../ops/op.ts';
import type { Parameter } from '../../simulator/delta/wiring.ts';
import { divisorsUpTo } from '../../region/divisors.ts';
import { partsOf } from '../../strategy/partition.ts';

/** Ops that are split alike, with all degrees that they may have. */
export interface Unit {
  readonly ops: readonly number[];
  /** Aligned with the ops' dimensions. */
  readonly choices: readonly (readonly number[])[];
}

/**
 * What one choice is made for: an op, or all ops that share parameters, such as the steps of a recurrent layer. Undefined
 * where ops share parameters that cannot be split alike.
 * @param dimensionsOf by op
 */
export function unitsOf(
  { ops }: Graph,
  parameters: readonly Parameter[],
  dimensionsOf: (op: number) => readonly Dimension[],
  deviceCount: number,
): Unit[] | undefined {
  const leaders = ops.map(({ id }) => id);
  const leaderOf = (op: number): number => (leaders[op] === op ? op : leaderOf(leaders[op]!));
  for (const { readers } of parameters) {
    const found = readers.map(({ op }) => leaderOf(op));
    const first = Math.min(...found);
    for (const leader of found) leaders[leader] = first;
  }
  const units: Unit[] = [];
  for (const members of Map.groupBy(leaders.keys(), leaderOf).values()) {
    const [first, ...others] = members.map((op) => choicesOf(dimensionsOf(op), deviceCount));
    if (others.some((choices) => String(choices) !== String(first))) return undefined;
    units.push({ ops: members, choices: first! });
  }
  return units;
}

/** All degrees whose product is at most the number of devices, without a split of what is summed over. */
function choicesOf(dimensions: readonly Dimension[], deviceCount: number): number[][] {
  let choices: number[][] = [[]];
  for (const { kind, size } of dimensions) {
    const degrees = kind === 'reduction' ? [1] : divisorsUpTo(size, deviceCount);
    choices = choices
      .flatMap((choice) => degrees.map((degree) => [...choice, degree]))
      .filter((choice) => partsOf(choice) <= deviceCount);
  }
  return choices;
}
