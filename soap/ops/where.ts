import { dtypeCode } from '../onnx/element-types.ts';
import { regionShape } from '../region/region.ts';
import { arithmetic } from './arithmetic.ts';
import { broadcastRegion, operandShape, sumToShape } from './broadcast.ts';
import { elementwiseDimensions, elementwiseFlops } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';

const [CONDITION, X, Y] = [0, 1, 2];

/** x where the condition is not 0, y elsewhere, with broadcasting. Conditions are int64 here, 0 or 1. */
export const where: OpDefinition = {
  kind: 'where',
  onnxTypes: ['Where'],
  fromOnnx: () => ({ attributes: {}, inputs: [CONDITION, X, Y] }),
  outputShapes(inputs) {
    if (inputs.length !== 3) throw new OpError(`Where has ${inputs.length} inputs; expected condition, x and y`);
    return [operandShape('Where', inputs)];
  },
  outputDtypes: (inputs) => [inputs[X] ?? 'float32'],
  integerInputs: 'all',
  dimensions: elementwiseDimensions,
  inputRegion: ({ inputs }, output, input) => broadcastRegion(inputs[input]!, output),
  forwardFlops: elementwiseFlops(1),
  backwardFlops: elementwiseFlops(2),
  forward(emit) {
    emit.setOutput(0, arithmetic(emit).where(booleans(emit), emit.input(X), emit.input(Y)));
  },
  backward(emit, { inputs }) {
    const [math, dy] = [arithmetic(emit), emit.gradOutput(0)];
    for (const [input, choice] of [
      [X, (): Value => math.where(booleans(emit), dy, 0)],
      [Y, (): Value => math.where(booleans(emit), 0, dy)],
    ] as const) {
      if (emit.wantsGradInput(input)) {
        emit.setGradInput(input, sumToShape(emit, choice(), regionShape(inputs[input]!)));
      }
    }
  },
};

function booleans(emit: Emitter): Value {
  const condition = emit.input(CONDITION);
  return emit.node('Cast', [condition], condition.shape, { to: int(dtypeCode('bool')) }, { dtype: 'bool' });
}
