import type { Attributes } from '../graph/graph.ts';
import { dtypeCode } from '../onnx/element-types.ts';
import { regionVolume } from '../region/region.ts';
import type { Emitter, Value } from './emitter.ts';
import { int, ints } from './emitter.ts';
import { TARGETS_INPUT } from './loss-targets.ts';
import type { Part } from './op.ts';
import { finite } from './reductions.ts';

/** Which input of the loss has the logits. */
export const LOGITS = 0;

/** What a part tells of each row: its largest logit, the sum of exp(logit - largest), and the class of the largest. */
export const ROW_STATISTICS = 3;

/** The logits as [rows, own classes]. */
export function logitRows(emit: Emitter, part: Part): { logits: Value; rows: number } {
  const rows = regionVolume(part.output);
  const logits = emit.input(LOGITS);
  return { logits: emit.reshape(logits, [rows, logits.shape.at(-1)!]), rows };
}

/** Softmax over a part's own classes, [rows, own classes]. */
export function ownProbabilities(emit: Emitter, logits: Value): Value {
  return emit.node('Softmax', [logits], logits.shape, { axis: int(1) });
}

/**
 * Emits a part's statistics, [{@link ROW_STATISTICS}, rows]. The class of the largest logit has a share of 1 / sum of all. Classes are
 * exact as float32 up to 2^24.
 */
export function emitRowStatistics(emit: Emitter, part: Part): void {
  const { logits, rows } = logitRows(emit, part);
  const { largest, best } = largestOfRows(emit, logits);
  const at = emit.reshape(best, [rows, 1]);
  const share = emit.node('GatherElements', [ownProbabilities(emit, logits), at], [rows, 1], { axis: int(1) });
  const sum = emit.node('Reciprocal', [emit.reshape(share, [rows])], [rows]);
  const [firstClass] = part.ranges.at(-1)!;
  const bestClass = asFloats(emit, emit.node('Add', [best, emit.ints([firstClass])], [rows]));
  const told = hasAllClasses(part) ? [largest, sum] : ofShownClasses(emit, largest, sum);
  const all = emit.node('Concat', [...told, bestClass], [ROW_STATISTICS * rows], { axis: int(0) });
  emit.setStatistics(all);
}

/** The same where a mask may hide all of a part's classes: their sum is then 0, and not NaN. */
function ofShownClasses(emit: Emitter, largest: Value, sum: Value): Value[] {
  const hidden = equals(emit, largest, emit.scalar(-Infinity));
  const shown = emit.node('Where', [hidden, emit.scalar(0), sum], sum.shape, {}, { dtype: 'float32' });
  return [finite(emit, largest), shown];
}

/** Rows are looked through in groups of classes where there are at least so many, of so many: ArgMax is slow. */
const MIN_GROUP = 8;

/** The largest of each row and where it is, the first of equal ones: [rows] each. */
function largestOfRows(emit: Emitter, logits: Value): { readonly largest: Value; readonly best: Value } {
  const [rows, classes] = [logits.shape[0]!, logits.shape[1]!];
  const size = groupSize(classes);
  if (size === undefined) return { largest: maxima(emit, logits), best: places(emit, logits) };
  const groups = emit.reshape(logits, [rows, classes / size, size]);
  const tops = maxima(emit, groups);
  const group = places(emit, tops);
  const index = emit.node('Expand', [emit.reshape(group, [rows, 1, 1]), emit.ints([rows, 1, size])], [rows, 1, size]);
  const members = emit.node('GatherElements', [groups, index], [rows, 1, size], { axis: int(1) });
  const start = emit.node('Mul', [group, emit.ints([size])], [rows]);
  const best = emit.node('Add', [start, places(emit, emit.reshape(members, [rows, size]))], [rows]);
  return { largest: maxima(emit, tops), best };
}

/** The largest divisor up to the square root, where it makes groups worth their while. */
function groupSize(classes: number): number | undefined {
  for (let size = Math.floor(Math.sqrt(classes)); size >= MIN_GROUP; size--) if (classes % size === 0) return size;
  return undefined;
}

/** Along the last axis. */
function maxima(emit: Emitter, value: Value): Value {
  const axis = value.shape.length - 1;
  return emit.node('ReduceMax', [value], value.shape.slice(0, -1), { axes: ints([axis]), keepdims: int(0) });
}

/** Where the largest of each row of a matrix is. */
function places(emit: Emitter, value: Value): Value {
  return emit.node('ArgMax', [value], [value.shape[0]!], { axis: int(1), keepdims: int(0) }, { dtype: 'int64' });
}

/** Of each row, the log of the sum of exp(logit) over all classes, and the class of the largest logit. */
export function combinedRows(emit: Emitter, rows: number): { logTotal: Value; bestClass: Value } {
  const all = emit.gathered();
  const parts = all.shape[0]!;
  const table = emit.reshape(all, [parts, ROW_STATISTICS, rows]);
  const column = (which: number): Value =>
    emit.reshape(emit.node('Gather', [table, emit.ints([which])], [parts, 1, rows], { axis: int(1) }), [parts, rows]);
  const [largest, sum, bestClass] = [column(0), column(1), column(2)];
  const top = emit.node('ReduceMax', [largest], [rows], { axes: ints([0]), keepdims: int(0) });
  const shares = emit.node('Exp', [emit.node('Sub', [largest, top], [parts, rows])], [parts, rows]);
  const total = emit.reduceSum(emit.node('Mul', [sum, shares], [parts, rows]), [0]);
  const logTotal = emit.node('Add', [top, emit.node('Log', [total], [rows])], [rows]);
  const where = emit.node('ArgMax', [largest], [1, rows], { axis: int(0), keepdims: int(1) }, { dtype: 'int64' });
  const best = emit.node('GatherElements', [bestClass, where], [1, rows], { axis: int(0) });
  return { logTotal, bestClass: asIndices(emit, emit.reshape(best, [rows])) };
}

/** The targets as a part sees them. */
export interface TargetRows {
  /** [rows] */
  readonly row: Value;
  /** [rows, 1]: the target among the part's classes; any of them where it is none of them. */
  readonly index: Value;
  /** [rows]: 1 where the target is one of the part's classes and counts, else 0. */
  readonly weight: Value;
  /** Where some rows do not count: which, and [rows] 1 for those that do. */
  readonly counted: { readonly ignored: Value; readonly weight: Value } | undefined;
}

export function targetRows(emit: Emitter, part: Part): TargetRows {
  const rows = regionVolume(part.output);
  const [first, end] = part.ranges.at(-1)!;
  const row = emit.reshape(emit.input(TARGETS_INPUT), [rows]);
  const local = emit.node('Sub', [row, emit.ints([first])], [rows]);
  const within = emit.node('Clip', [local, emit.int(0), emit.int(end - first - 1)], [rows]);
  const index = emit.reshape(within, [rows, 1]);
  const own = asFloats(emit, equals(emit, within, local));
  const ignoreIndex = part.signature.attributes['ignoreIndex'];
  if (typeof ignoreIndex !== 'number') return { row, index, weight: own, counted: undefined };
  const ignored = equals(emit, row, emit.ints([ignoreIndex]));
  const weight = emit.node('Sub', [emit.scalar(1), asFloats(emit, ignored)], [rows]);
  return { row, index, weight: emit.node('Mul', [own, weight], [rows]), counted: { ignored, weight } };
}

/**
 * (1 - smoothing) times the target's loss, and smoothing times the mean loss of all classes. Source: Szegedy et al.,
 * "Rethinking the Inception Architecture for Computer Vision", 2016, section 7, as torch.nn.CrossEntropyLoss has it.
 */
export function smoothedLoss(
  emit: Emitter,
  part: Part,
  own: Value,
  { logits, logTotal, targets }: { logits: Value; logTotal: Value; targets: TargetRows },
): Value {
  const smoothing = labelSmoothing(part.signature.attributes);
  if (smoothing === 0) return own;
  const rows = logits.shape[0]!;
  const times = (a: Value, b: Value): Value => emit.node('Mul', [a, b], [rows]);
  const totals = times(logTotal, emit.scalar(logits.shape[1]!));
  const sum = emit.node('Sub', [totals, emit.reduceSum(logits, [1])], [rows]);
  const spread = times(sum, emit.scalar(smoothing / classCount(part)));
  const kept = targets.counted === undefined ? spread : times(spread, targets.counted.weight);
  return emit.node('Add', [times(own, emit.scalar(1 - smoothing)), kept], [rows]);
}

export function labelSmoothing(attributes: Attributes): number {
  const value = attributes['labelSmoothing'];
  return typeof value === 'number' ? value : 0;
}

/** Whether a part has all classes. */
export function hasAllClasses(part: Part): boolean {
  const [start, end] = part.ranges.at(-1)!;
  return end - start === classCount(part);
}

/** Classes of the whole op. */
export function classCount({ signature }: Part): number {
  return signature.inputs[LOGITS]!.at(-1)!;
}

/** Whether elements are equal. */
export function equals(emit: Emitter, a: Value, b: Value): Value {
  return emit.node('Equal', [a, b], a.shape, {}, { dtype: 'bool' });
}

export function asFloats(emit: Emitter, value: Value): Value {
  return emit.node('Cast', [value], value.shape, { to: int(dtypeCode('float32')) }, { dtype: 'float32' });
}

function asIndices(emit: Emitter, value: Value): Value {
  return emit.node('Cast', [value], value.shape, { to: int(dtypeCode('int64')) }, { dtype: 'int64' });
}
