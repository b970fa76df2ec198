import type { DType } from '../graph/graph.ts';
import { dtypeCode, dtypeName } from '../onnx/element-types.ts';
import { elementwiseDimensions, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { Value } from './emitter.ts';
import type { Emitter } from './emitter.ts';
import { int } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';

/** The same values in another element type, attribute `to`: float32, int64, or bool, which is int64 here, 0 or 1. */
export const cast: OpDefinition = {
  kind: 'cast',
  onnxTypes: ['Cast'],
  fromOnnx(node) {
    const attribute = node.attributes['to'];
    const to = dtypeName(attribute?.type === 'int' ? attribute.value : 0);
    if (to === undefined || to === 'uint8')
      throw new OpError(`Cast is to ${to ?? 'a type unknown here'}; expected a float or integer`);
    const known = { float32: 'float32', float64: 'float32', int64: 'int64', int32: 'int64', bool: 'bool' } as const;
    return { attributes: { to: known[to] }, inputs: [0] };
  },
  outputShapes: sameOutputShape,
  outputDtypes: (_inputs, { to }): readonly DType[] => [to === 'float32' ? 'float32' : 'int64'],
  integerInputs: 'all',
  dimensions: elementwiseDimensions,
  inputRegion: sameInputRegion,
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward(emit, { signature }) {
    const { to } = signature.attributes;
    const x = emit.input(0);
    if (to === 'float32') emit.setOutput(0, casted(emit, x, 'float32'));
    else emit.setOutput(0, casted(emit, to === 'bool' ? casted(emit, x, 'bool') : x, 'int64'));
  },
  /** Between floats the gradient passes; integers have none. */
  backward: (emit) => emit.setGradInput(0, emit.gradOutput(0)),
};

function casted(emit: Emitter, x: Value, dtype: 'float32' | 'int64' | 'bool'): Value {
  return emit.node('Cast', [x], x.shape, { to: int(dtypeCode(dtype)) }, { dtype });
}
