import type { Shape } from '../../graph/graph.ts';
import type { Move } from './arrangement.ts';
import { directMoves, isMove, keepsFirst, sameMoves, sourcesOf, stepsOf } from './arrangement.ts';
import type { Rule } from './view.ts';

/** Axes of steps and samples in each other's place, and of heads and steps: of [N, T, W] as of [T, N, W], and of [N, heads, T, width]. */
const [STEPS_FIRST, SWAPPED]: readonly Move[] = [{ perm: [1, 0, 2] }, { perm: [0, 2, 1, 3] }];

/** A row of moves, between values whose samples are counted so. */
interface Way {
  readonly from: Shape;
  readonly moves: readonly Move[];
  readonly to: Shape;
  readonly samples: number;
  /** Values that are on the way, and before it. */
  readonly passed: readonly { readonly shape: Shape; readonly moves: readonly Move[] }[];
}

/**
 * Moves between values that both have their samples first go by values that have, too: so all of them split by samples. Those that put heads together
 * and steps first go by [N, T, W], where a linear layer that follows finds the samples first.
 * Source: torch.nn.MultiheadAttention, which has steps first inside, where it stays as it is written: with dropout of its weights.
 */
const bySamples: Rule = (view, op) => {
  if (!isMove(op)) return undefined;
  const to = view.tensor(op.outputs[0]!).shape;
  const samples = view.tensor(view.graph.inputs[0]!).shape[0]!;
  const sources = sourcesOf(view, op.outputs[0]!).filter(({ factor }) => factor === 1);
  const passed = sources.map(({ of, moves }) => ({ shape: view.tensor(of).shape, moves }));
  for (const { of, moves } of sources) {
    if (moves.length < 2) continue;
    const way = { from: view.tensor(of).shape, moves, to, samples, passed };
    const [first, ...after] = stepsOf(op.name, way.from, kept(way) ?? joined(way) ?? []);
    if (first !== undefined) return { ...first, inputs: [of], after };
  }
  return undefined;
};

/** Of a way from [N, T, W], with N first at its end, but not all the way: one that is direct. */
function kept({ from, moves, to, samples }: Way): readonly Move[] | undefined {
  if (from.length !== 3 || from[0] !== samples || from[1] === samples) return undefined;
  const isFirst = moves.map((_, i) => keepsFirst(from, moves.slice(0, i + 1)));
  const direct = isFirst.at(-1) === true && isFirst.includes(false) ? directMoves(from, moves) : undefined;
  return direct && [...direct, { shape: to }];
}

/** Of a way from heads, [N * heads, T, width] or [N, heads, T, width], to steps first: one by [N, T, W], where it is not such. */
function joined({ from, moves, to, samples, passed }: Way): readonly Move[] | undefined {
  const [steps, width] = from.slice(-2);
  const heads = from.slice(0, -2).reduce((a, b) => a * b, 1) / samples;
  if (![3, 4].includes(from.length) || !Number.isInteger(heads) || steps === 1 || to.at(-1) !== heads * width!)
    return undefined;
  const middle = [samples, steps!, heads * width!];
  const rest: readonly Move[] = [STEPS_FIRST!, { shape: to }];
  const all = [{ shape: [samples, heads, steps!, width!] }, SWAPPED!, { shape: middle }, ...rest];
  const goesByMiddle = passed.some(
    (each) => each.shape.join() === middle.join() && sameMoves(middle, each.moves, rest),
  );
  return !goesByMiddle && sameMoves(from, moves, all) ? all : undefined;
}

export const BY_SAMPLES_RULES: readonly Rule[] = [bySamples];
