import { dtypeCode } from '../../../soap/onnx/element-types.ts';
import type { OnnxNode } from '../../../soap/onnx/model.ts';
import type { Rewriter } from './rewriter.ts';

/** Bits of a sum of int32 that are neither its sign nor kept free. */
const SUM_BITS = 30;
/** Bits below the largest update that count: more than float32 has, so that only the last rounding is seen. */
const WANTED_BITS = 36;
/** Where all updates are smaller than this they count as 0: the smallest normal float32. */
const LEAST_SCALE = 2 ** -126;

/**
 * A scatter that adds, with the same bits each time. The provider adds floats in whatever order its threads come; integers
 * have the same sum in any order. So updates are written as multiples of the largest one in fixed point, some bits at a time.
 */
export function writeScatter(node: OnnxNode, to: Rewriter): boolean {
  const { inputs, outputs, attributes } = node;
  const [data = '', indices = '', updates = ''] = inputs;
  const { reduction } = attributes;
  if (reduction?.type !== 'string' || reduction.value !== 'add') return false;
  const most = mostTerms(node, to);
  if (most <= 1) return false;
  if (to.dtypeOf(updates) !== 'float32') return false;
  const bits = SUM_BITS - Math.ceil(Math.log2(most));
  if (bits < 1) throw to.error(`adds up to ${most} updates; expected at most ${2 ** (SUM_BITS - 1)}`);
  const unit = to.scalar(2 ** bits);
  const zeros = to.constantZeros(to.shapeOf(data));
  const scale = to.node('Max', [
    to.node('ReduceMax', [to.node('Abs', [updates])], { keepdims: KEEP_NO_AXES }),
    to.scalar(LEAST_SCALE),
  ]);
  let rest = to.node('Div', [updates, scale]);
  const sums: string[] = [];
  for (let level = 0; level * bits < WANTED_BITS; level++) {
    const scaled = to.node('Mul', [rest, unit]);
    const whole = to.node('Cast', [scaled], INT32);
    rest = to.node('Sub', [scaled, to.node('Cast', [whole], FLOAT32)]);
    sums.push(to.node('Cast', [to.node(node.opType, [zeros, indices, whole], attributes)], FLOAT32));
  }
  const total = sums.reduceRight((below, sum) => to.node('Add', [sum, to.node('Div', [below, unit])]));
  const added = to.node('Mul', [to.node('Div', [total, unit]), scale]);
  to.node('Add', [data, added], {}, outputs[0]);
  return true;
}

const KEEP_NO_AXES = { type: 'int', value: 0 } as const;
const INT32 = { to: { type: 'int', value: dtypeCode('int32') } } as const;
const FLOAT32 = { to: { type: 'int', value: dtypeCode('float32') } } as const;

/** How many updates an element can get. */
function mostTerms({ opType, inputs, attributes }: OnnxNode, to: Rewriter): number {
  const shape = to.shapeOf(inputs[1] ?? '');
  // Of ScatterND the last axis is an index; of ScatterElements updates stay in their lane along the axis.
  if (opType === 'ScatterND') return shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const { axis } = attributes;
  return shape.at(axis?.type === 'int' ? axis.value : 0) ?? 1;
}
