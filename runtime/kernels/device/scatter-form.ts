import { dtypeCode } from '../../../soap/onnx/element-types.ts';
import type { OnnxDType, OnnxNode } from '../../../soap/onnx/model.ts';
import type { Rewrite, Rewriter } from './rewriter.ts';

/** Bits below the largest update that count: more than float32 has, so that only the last rounding is seen. */
const WANTED_BITS = 36;
/** Where all updates are smaller than this they count as 0: the smallest normal float32. */
const LEAST_SCALE = 2 ** -126;

/** Numbers of which a provider adds many with an exact sum, in whatever order: whole ones. */
export interface ExactSums {
  readonly dtype: OnnxDType;
  /** How many bits a sum may have beside its sign. */
  readonly bits: number;
}

/**
 * A scatter that adds, with the same bits each time. Providers add floats in whatever order their threads come; whole numbers
 * have the same sum in any order. So updates are written as multiples of the largest one in fixed point, some bits at a time.
 */
export function exactScatter(exact: ExactSums): Rewrite {
  return (node, to) => writeScatter(exact, node, to);
}

function writeScatter(exact: ExactSums, node: OnnxNode, to: Rewriter): boolean {
  const { inputs, outputs, attributes } = node;
  const [data = '', indices = '', updates = ''] = inputs;
  const { reduction } = attributes;
  if (reduction?.type !== 'string' || reduction.value !== 'add') return false;
  const most = mostTerms(node, to);
  if (most <= 1) return false;
  if (to.dtypeOf(updates) !== 'float32') return false;
  const bits = Math.min(WANTED_BITS, exact.bits - Math.ceil(Math.log2(most)));
  if (bits < 1) throw to.error(`adds up to ${most} updates; expected at most ${2 ** (exact.bits - 1)}`);
  const unit = to.scalar(2 ** bits);
  const zeros = to.constantZeros(to.shapeOf(data), exact.dtype);
  const scale = to.node('Max', [
    to.node('ReduceMax', [to.node('Abs', [updates])], { keepdims: KEEP_NO_AXES }),
    to.scalar(LEAST_SCALE),
  ]);
  let rest = to.node('Div', [updates, scale]);
  const sums: string[] = [];
  for (let level = 0; level * bits < WANTED_BITS; level++) {
    const scaled = to.node('Mul', [rest, unit]);
    const whole = to.node('Floor', [scaled]);
    rest = to.node('Sub', [scaled, whole]);
    const added = to.node(node.opType, [zeros, indices, to.node('Cast', [whole], castTo(exact.dtype))], attributes);
    sums.push(to.node('Cast', [added], castTo('float32')));
  }
  const total = sums.reduceRight((below, sum) => to.node('Add', [sum, to.node('Div', [below, unit])]));
  const added = to.node('Mul', [to.node('Div', [total, unit]), scale]);
  to.node('Add', [data, added], {}, outputs[0]);
  return true;
}

const KEEP_NO_AXES = { type: 'int', value: 0 } as const;

function castTo(dtype: OnnxDType): OnnxNode['attributes'] {
  return { to: { type: 'int', value: dtypeCode(dtype) } };
}

/** How many updates an element can get. */
function mostTerms({ opType, inputs, attributes }: OnnxNode, to: Rewriter): number {
  const shape = to.shapeOf(inputs[1] ?? '');
  // Of ScatterND the last axis is an index; of ScatterElements updates stay in their lane along the axis.
  if (opType === 'ScatterND') return shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const { axis } = attributes;
  return shape.at(axis?.type === 'int' ? axis.value : 0) ?? 1;
}
