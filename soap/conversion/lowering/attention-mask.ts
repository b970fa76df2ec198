import { broadcastShape, broadcastStrides, positions } from '../../onnx/indexing.ts';
import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import type { ImportContext } from '../../ops/op.ts';
import { OpError } from '../../ops/op.ts';
import { LOWEST } from '../../ops/reductions.ts';
import { intAttribute } from '../../ops/unary.ts';
import type { Shape } from '../../graph/graph.ts';
import type { NodeWriter } from './writer.ts';
import { isWhole } from './writer.ts';

/** The position of an Attention's mask among its inputs. */
const MASK = 3;

/** What an Attention hides, as nodes that are written. */
export interface ScoreMask {
  /** The scores, low where something hides them. */
  applied(scores: string): string;
  /** The probabilities, 0 also in rows in which everything is hidden. */
  shown(probabilities: string): string;
}

/**
 * What an Attention hides of scores [N, heads, T, S]: with `is_causal` the steps behind each query, and what the mask `attn_mask` hides,
 * of booleans, true where something is seen, or of numbers that are added. A row in which all is hidden has probabilities of 0, as in
 * ONNX Runtime, with gradients of 0, and not such that are no numbers.
 * @throws {OpError} where the mask does not broadcast to the scores, and for a window
 */
export function scoreMask(writer: NodeWriter, node: OnnxNode, context: ImportContext, scores: Shape): ScoreMask {
  const [steps, seen] = [scores.at(-2)!, scores.at(-1)!];
  requireNoWindow(node);
  const isCausal = intAttribute(node, 'is_causal', 0) !== 0;
  const causal = isCausal ? causalBias(writer, context, steps, seen) : undefined;
  const hiding = (value: string): string => (causal === undefined ? value : writer.add('Add', [value, causal]));
  const mask = node.inputs[MASK] ?? '';
  if (mask === '') return { applied: hiding, shown: (value) => value };
  const shape = context.shape(MASK);
  if (String(broadcastShape(shape, scores)) !== String(scores)) {
    throw new OpError(
      `Attention has a mask of shape [${shape}] for scores of [${scores}]; expected one that broadcasts`,
    );
  }
  const hasHiddenRows = mayHideRows(context, steps, seen, isCausal);
  if (isWhole(context.dtype(MASK))) {
    return {
      applied: (value) => hiding(writer.add('Where', [mask, value, writer.number(LOWEST)])),
      shown: (value) => (hasHiddenRows ? writer.add('Where', [mask, value, writer.number(0)]) : value),
    };
  }
  return {
    applied(value) {
      const sum = writer.add('Add', [value, mask]);
      return hiding(hasHiddenRows ? writer.add('Max', [sum, writer.number(LOWEST)]) : sum);
    },
    shown(value) {
      if (!hasHiddenRows) return value;
      return writer.add('Where', [writer.add('Less', [mask, writer.number(LOWEST)]), writer.number(0), value]);
    },
  };
}

function requireNoWindow(node: OnnxNode): void {
  const [left, right] = ['left_window_size', 'right_window_size'].map((name) => intAttribute(node, name, -1));
  if (left === -1 && right === -1) return;
  throw new OpError(`Attention has a window of ${left} and ${right}; expected -1 and -1: give it as a mask`);
}

/** [T, S], -Infinity for steps behind the query's: one for all attentions of so many, which may be many and large. */
function causalBias(writer: NodeWriter, context: ImportContext, steps: number, seen: number): string {
  const name = `attention:causal:${steps}x${seen}`;
  if (context.isKnown(name)) return name;
  const data = Float32Array.from({ length: steps * seen }, (_, i) => (i % seen > Math.floor(i / seen) ? -Infinity : 0));
  return writer.named(name, { dtype: 'float32', shape: [steps, seen], data });
}

/** Whether a mask may hide all that a query sees. One that is trained hides nothing. */
function mayHideRows(context: ImportContext, steps: number, seen: number, isCausal: boolean): boolean {
  const mask = context.trained(MASK) ? undefined : context.constant(MASK);
  return mask === undefined ? !context.trained(MASK) : hidesRow(mask, steps, seen, isCausal);
}

function hidesRow({ shape, dtype, data }: OnnxTensor, steps: number, seen: number, isCausal: boolean): boolean {
  const whole = [...shape.slice(0, -2), steps, seen];
  const at = positions(whole, broadcastStrides(shape, whole));
  const hides = isWhole(dtype) ? (value: number) => value === 0 : (value: number) => value === -Infinity;
  for (let row = 0; row < at.length / seen; row++) {
    const count = isCausal ? Math.min(seen, (row % steps) + 1) : seen;
    const elements = Array.from(at.subarray(row * seen, row * seen + count));
    if (elements.every((position) => hides(Number(data[position])))) return true;
  }
  return false;
}
