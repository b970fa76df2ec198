import type { Attributes } from '../graph.ts';
import type { GraphBuilder } from '../builder.ts';

/** One direction of a recurrent layer. */
export interface Direction {
  readonly kind: string;
  /** What its ops are called, with the steps of each behind. */
  readonly name: string;
  readonly reverse: boolean;
  readonly attributes: Attributes;
  /** States before the first step, [N, H]; undefined for zeros. */
  readonly hidden: number | undefined;
  readonly memory: number | undefined;
  readonly hasMemory: boolean;
  /** Tensor ids of weights and biases, in the op's order. */
  readonly parameters: readonly number[];
}

/** What the ops of a direction give. */
export interface Unrolled {
  /** Of each group of steps in order of time, [N, steps, H]. */
  readonly results: readonly number[];
  /** After the last step that it runs through, [N, H]. */
  readonly hidden: number;
  readonly memory: number | undefined;
}

/** A group of steps, and the tensor it reads them from. */
interface Group {
  readonly start: number;
  readonly steps: number;
  readonly x: number;
  /** The first step within `x`. */
  readonly offset: number;
}

/**
 * Cuts a sequence into groups of at most `unrollSteps` steps.
 * @param pieces tensors [N, s, in] that are the sequence; groups that are pieces read them, others their concatenation
 */
export function stepGroups(
  builder: GraphBuilder,
  name: string,
  pieces: readonly number[],
  unrollSteps: number,
): Group[] {
  const lengths = pieces.map((id) => builder.shape(id)[1]!);
  const length = lengths.reduce((a, b) => a + b, 0);
  const starts = Array.from({ length: Math.ceil(length / unrollSteps) }, (_, group) => group * unrollSteps);
  const steps = starts.map((start) => Math.min(unrollSteps, length - start));
  if (String(lengths) === String(steps)) {
    return starts.map((start, group) => ({ start, steps: steps[group]!, x: pieces[group]!, offset: 0 }));
  }
  const x = pieces.length === 1 ? pieces[0]! : builder.op('concat', name, pieces, { axis: 1 });
  return starts.map((start, group) => ({ start, steps: steps[group]!, x, offset: start }));
}

/** Adds one op for each group; each takes the states that the one before leaves. */
export function unrollDirection(builder: GraphBuilder, direction: Direction, groups: readonly Group[]): Unrolled {
  const { kind, name, reverse, hasMemory, parameters } = direction;
  const results: number[] = [];
  let { hidden, memory } = direction;
  for (const index of reverse ? [...groups.keys()].reverse() : groups.keys()) {
    const { start, steps, x, offset } = groups[index]!;
    const states = [hidden, memory].filter((state) => state !== undefined);
    const attributes: Attributes = {
      ...direction.attributes,
      start: offset,
      steps,
      ...(reverse ? { reverse } : {}),
      ...initialStates(hidden, memory, hasMemory),
    };
    const title = groups.length === 1 ? name : `${name}[${start}:${start + steps}]`;
    const outputs = builder.opOutputs(kind, title, [x, ...states, ...parameters], attributes);
    results[index] = outputs[0]!;
    hidden = outputs[1]!;
    memory = outputs[2];
  }
  return { results, hidden: hidden!, memory };
}

/** Which states are zeros; see recurrentOp. */
function initialStates(hidden: number | undefined, memory: number | undefined, hasMemory: boolean): Attributes {
  if (hidden === undefined && (memory === undefined || !hasMemory)) return { initial: true };
  if (hidden === undefined) return { initial: 'hidden' };
  return hasMemory && memory === undefined ? { initial: 'memory' } : {};
}
