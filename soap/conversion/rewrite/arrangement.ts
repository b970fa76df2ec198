import { elementCount } from '../../onnx/indexing.ts';
import { numbersAttribute } from '../../ops/op.ts';
import type { Op, Shape } from '../../graph/graph.ts';
import type { GraphView, Step } from './view.ts';
import { multiple } from './view.ts';

/** A transposition or a reshape: elements move, none changes. */
export type Move = { readonly perm: readonly number[] } | { readonly shape: Shape };

/** A value that another has the elements of: in another order, in another shape, times `factor`. */
export interface Source {
  readonly of: number;
  readonly factor: number;
  /** From the source to the value. */
  readonly moves: readonly Move[];
}

/** So many elements of a source, so far apart. */
interface Run {
  readonly extent: number;
  readonly stride: number;
}

const MOVING = ['transpose', 'reshape', 'flatten'] as const;

/** Whether an op only moves elements. */
export function isMove({ kind }: Op): boolean {
  return MOVING.some((each) => each === kind);
}

/**
 * All values that one is an arrangement of, itself first.
 * @param alone whether to stop at values that something else reads too, besides the first
 */
export function sourcesOf(view: GraphView, id: number, alone = false): Source[] {
  const { of, factor } = multiple(view, id);
  const [found] = MOVING.flatMap((kind) => view.producer(of, kind) ?? []);
  const own: Source = { of, factor, moves: [] };
  if (found === undefined) return [own];
  const input = found.inputs[0]!;
  const goesOn = !alone || MOVING.some((kind) => view.inner(input, kind) !== undefined);
  const before = goesOn ? sourcesOf(view, input, alone) : [{ of: input, factor: 1, moves: [] }];
  const move = moveOf(view, found);
  return [own, ...before.map((each) => ({ ...each, factor: each.factor * factor, moves: [...each.moves, move] }))];
}

/** Whether two rows of moves bring a tensor of the shape `from` into the same shape and order. */
export function sameMoves(from: Shape, a: readonly Move[], b: readonly Move[]): boolean {
  const [left, right] = [arranged(from, a), arranged(from, b)];
  return left !== undefined && right !== undefined && JSON.stringify(left) === JSON.stringify(right);
}

/** Moves as ops that follow one whose result has the shape `from`; those that change nothing are left out. */
export function stepsOf(name: string, from: Shape, moves: readonly Move[]): Step[] {
  let shape = from;
  return moves.flatMap((move): Step[] => {
    const before = shape;
    shape = 'perm' in move ? move.perm.map((axis) => before[axis]!) : move.shape;
    if (sameMoves(before, [move], [])) return [];
    return [{ kind: 'perm' in move ? 'transpose' : 'reshape', name, attributes: { ...move } }];
  });
}

/**
 * Where moves make an axis of values that lie side by side along the last axis of `from`: how one of them alone is moved into the order of the
 * other axes. Undefined for other axes.
 */
export function movesOfOne(from: Shape, moves: readonly Move[], axis: number): readonly Move[] | undefined {
  const axes = arranged(from, moves);
  const [run, ...more] = axes?.[axis] ?? [];
  if (run === undefined || more.length > 0 || run.extent * run.stride !== from.at(-1)) return undefined;
  return inOrder(axes!.toSpliced(axis, 1).flat());
}

/** Moves as a reshape and a transposition, up to how axes are joined at the end; undefined for those that are no row of runs. */
export function directMoves(from: Shape, moves: readonly Move[]): readonly Move[] | undefined {
  const axes = arranged(from, moves);
  return axes && inOrder(axes.flat());
}

/** Whether what counts through the first axis of `from` is the first to count through the first axis after the moves, alone or with others. */
export function keepsFirst(from: Shape, moves: readonly Move[]): boolean {
  const run = arranged(from, moves)?.[0]?.[0];
  const [first = 1] = from;
  return run !== undefined && run.extent % first === 0 && run.extent * run.stride === elementCount(from);
}

/** From runs as they lie in memory to these, in their order. */
function inOrder(runs: readonly Run[]): readonly Move[] {
  const inMemory = runs.toSorted((a, b) => b.stride - a.stride);
  return [{ shape: inMemory.map(({ extent }) => extent) }, { perm: runs.map((each) => inMemory.indexOf(each)) }];
}

function moveOf(view: GraphView, op: Op): Move {
  if (op.kind === 'transpose') return { perm: numbersAttribute(op.attributes, 'perm') };
  return { shape: view.tensor(op.outputs[0]!).shape };
}

/** By axis of the result, which runs of the elements of `from` it counts through; undefined where that is no row of runs. */
function arranged(from: Shape, moves: readonly Move[]): readonly (readonly Run[])[] | undefined {
  let stride = from.reduce((a, b) => a * b, 1);
  let axes: readonly (readonly Run[])[] | undefined = from.map((extent) => {
    stride /= extent;
    return [{ extent, stride }];
  });
  for (const move of moves) {
    const before: readonly (readonly Run[])[] = axes;
    axes = 'perm' in move ? move.perm.map((axis) => before[axis]!) : regrouped(before.flat(), move.shape);
    if (axes === undefined) return undefined;
  }
  return axes.map(joined);
}

/** Runs as axes of a shape of as many elements; one that goes on over several axes is cut. */
function regrouped(runs: readonly Run[], shape: Shape): Run[][] | undefined {
  const rest = runs.filter(({ extent }) => extent > 1).toReversed();
  const axes = shape.map((extent): Run[] | undefined => {
    const axis: Run[] = [];
    for (let open = extent; open > 1;) {
      const run = rest.pop();
      if (run === undefined) return undefined;
      const taken = Math.min(open, run.extent);
      if (open % taken !== 0 || run.extent % taken !== 0) return undefined;
      const inner = run.extent / taken;
      axis.push({ extent: taken, stride: run.stride * inner });
      if (inner > 1) rest.push({ extent: inner, stride: run.stride });
      open /= taken;
    }
    return axis;
  });
  const whole = axes.filter((axis) => axis !== undefined);
  return rest.length === 0 && whole.length === axes.length ? whole : undefined;
}

/** Runs that go on where the one after them ends are one. */
function joined(runs: readonly Run[]): Run[] {
  const found: Run[] = [];
  for (const run of runs) {
    const last = found.at(-1);
    if (run.extent === 1) continue;
    if (last?.stride === run.extent * run.stride) {
      found[found.length - 1] = { extent: last.extent * run.extent, stride: run.stride };
    } else found.push(run);
  }
  return found;
}
