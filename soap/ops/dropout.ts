import type { Attributes } from '../graph/graph.ts';
import { dtypeCode } from '../onnx/element-types.ts';
import type { OnnxNode } from '../onnx/model.ts';
import { arithmetic } from './arithmetic.ts';
import { elementwiseDimensions, elementwiseFlops, sameInputRegion } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { ImportContext, OpDefinition } from './op.ts';
import { numberAttribute, OpError } from './op.ts';

/** Positions of the inputs of the ONNX node, and of its second result. */
const [RATIO, TRAINING_MODE, MASK] = [1, 2, 1];

/** Source: ONNX Dropout, `ratio`. */
const USUAL_RATIO = 0.5;

/** Operator sets from which `training_mode` and `ratio` are inputs, and from which there was no mode before that. Source: ONNX Changelog. */
const [INPUTS_SINCE, NO_MODE_SINCE] = [12, 7];

/**
 * The share of elements that a Dropout node of a file drops: 0 unless it is in training mode. From operator set 12 on that is
 * an input; before 7 it is what `is_test` does not say; between them there is none.
 * @throws {OpError} where the mode or the ratio is no constant, and for a ratio that is none
 */
export function droppedShare(node: OnnxNode, context: ImportContext): number {
  return trains(node, context) ? ratioOf(node, context) : 0;
}

function trains({ inputs, attributes }: OnnxNode, context: ImportContext): boolean {
  const { is_test: isTest } = attributes;
  if (context.opset < NO_MODE_SINCE) return isTest?.type !== 'int' || isTest.value === 0;
  if (context.opset < INPUTS_SINCE || (inputs[TRAINING_MODE] ?? '') === '') return false;
  const mode = context.constant(TRAINING_MODE);
  if (mode?.data.length === 1) return Number(mode.data[0]) !== 0;
  throw new OpError('Dropout has a training_mode that is computed; expected a constant: export the model again');
}

function ratioOf({ inputs, attributes }: OnnxNode, context: ImportContext): number {
  const { ratio: attribute } = attributes;
  let ratio = attribute?.type === 'float' ? attribute.value : USUAL_RATIO;
  if (context.opset >= INPUTS_SINCE && (inputs[RATIO] ?? '') !== '') {
    const constant = context.constant(RATIO);
    if (constant?.data.length !== 1)
      throw new OpError('Dropout has a ratio that is computed; expected a constant number: export the model again');
    ratio = Number(constant.data[0]);
  }
  if (!(ratio >= 0 && ratio < 1))
    throw new OpError(`Dropout has a ratio of ${ratio}; expected at least 0 and less than 1`);
  return ratio;
}

/** float32, as files hold it. */
function ratioAttribute(attributes: Attributes): number {
  return Math.fround(numberAttribute(attributes, 'ratio'));
}

/**
 * In training, elements of x are 0 with a probability of `ratio`, and the others x / (1 - ratio); which are kept does not depend
 * on how the op is split. In inference it is the identity. With `mask` a second output is 1 where an element is kept, int64.
 * Sources: Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting", 2014; the scale: ONNX Dropout,
 * torch.nn.Dropout.
 */
export const dropout: OpDefinition = {
  kind: 'dropout',
  onnxTypes: ['Dropout'],
  fromOnnx(node, context) {
    const ratio = droppedShare(node, context);
    return { attributes: context.isRead(MASK) ? { ratio, mask: true } : { ratio }, inputs: [0] };
  },
  outputShapes: ([x], { mask }) => (mask === true ? [x!, x!] : [x!]),
  outputDtypes: () => ['float32', 'int64'],
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: elementwiseFlops(2),
  backwardFlops: elementwiseFlops(2),
  droppedShare: ratioAttribute,
  forward(emit, { signature: { attributes } }) {
    emit.setOutput(0, kept(emit, emit.input(0), attributes));
    if (attributes['mask'] !== true) return;
    emit.setOutput(1, asInt64(emit, arithmetic(emit).greater(factors(emit, 1), 0)));
  },
  backward(emit, { signature: { attributes } }) {
    emit.setGradInput(0, kept(emit, emit.gradOutput(0), attributes));
  },
  inference(emit, { signature: { attributes } }) {
    const x = emit.input(0);
    emit.setOutput(0, x);
    if (attributes['mask'] !== true) return;
    emit.setOutput(1, emit.node('Expand', [emit.int(1), emit.ints(x.shape)], x.shape));
  },
  /** Without a mode, which is inference. */
  toOnnx(emit, { signature: { attributes } }) {
    const x = emit.input(0);
    const results = [{ dtype: 'float32' as const, shape: x.shape }];
    const both = [...results, { dtype: 'bool' as const, shape: x.shape }];
    const hasMask = attributes['mask'] === true;
    const [y, mask] = emit.nodes('Dropout', [x, emit.scalar(ratioAttribute(attributes))], hasMask ? both : results);
    emit.setOutput(0, y!);
    if (mask === undefined) return;
    emit.setOutput(1, asInt64(emit, mask));
  },
};

function kept(emit: Emitter, x: Value, attributes: Attributes): Value {
  return arithmetic(emit).mul(x, factors(emit, 1 / (1 - ratioAttribute(attributes))));
}

/** What kept elements are multiplied with, and 0 of others. To get it in one node is three times as fast as Where. */
function factors(emit: Emitter, scale: number): Value {
  const mask = emit.mask();
  return emit.node('DequantizeLinear', [mask, emit.scalar(scale)], mask.shape, {}, { dtype: 'float32' });
}

function asInt64(emit: Emitter, condition: Value): Value {
  return emit.node('Cast', [condition], condition.shape, { to: int(dtypeCode('int64')) }, { dtype: 'int64' });
}
