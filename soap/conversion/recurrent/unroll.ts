import { OpError } from '../../ops/op.ts';
import type { Attributes } from '../../graph/graph.ts';
import type { GraphBuilder } from '../../training/builder.ts';
import type { Piece } from './axis-view.ts';
import { joinedPieces } from './axis-view.ts';

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
 * @throws {OpError} where that is no number of steps
 * @param pieces of tensors [N, s, in] that are the sequence; a group that is a piece reads that tensor
 */
export function stepGroups(
  builder: GraphBuilder,
  name: string,
  pieces: readonly Piece[],
  unrollSteps: number,
): Group[] {
  if (!(Number.isInteger(unrollSteps) && unrollSteps >= 1)) {
    throw new OpError(`is unrolled in groups of ${unrollSteps} steps; expected a whole number of at least 1`);
  }
  const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
  const starts = Array.from({ length: Math.ceil(length / unrollSteps) }, (_, group) => group * unrollSteps);
  const steps = starts.map((start) => Math.min(unrollSteps, length - start));
  if (String(pieces.map((piece) => piece.length)) === String(steps)) {
    return pieces.map(({ tensor, start }, group) => ({
      start: starts[group]!,
      steps: steps[group]!,
      x: tensor,
      offset: start,
    }));
  }
  const [only, ...others] = pieces;
  const single = others.length === 0 ? only : undefined;
  const x = single?.tensor ?? joinedPieces(builder, name, pieces);
  const offset = single?.start ?? 0;
  return starts.map((start, group) => ({ start, steps: steps[group]!, x, offset: offset + start }));
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
