import type { Interval } from '../region/region.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition } from './op.ts';
import { OpError } from './op.ts';

/** [N, C, ...] -> [N, C * ...]. Splits of the features follow channels, so that a part's input is a box. */
export const flatten: OpDefinition = {
  kind: 'flatten',
  onnxTypes: ['Flatten'],
  fromOnnx(node, context) {
    const axis = node.attributes['axis'];
    const at = axis?.type === 'int' ? axis.value : 1;
    const rank = context.shape(0).length;
    if (at !== 1 && at !== 1 - rank)
      throw new OpError(`Flatten has axis ${at}; expected 1, which keeps the samples apart`);
    return { attributes: {}, inputs: [0] };
  },
  outputShapes([shape]) {
    if (shape === undefined || shape.length < 2)
      throw new OpError(`Flatten has an input of shape [${shape}]; expected a rank of at least 2`);
    return [[shape[0]!, shape.slice(1).reduce((a, b) => a * b, 1)]];
  },
  dimensions({ inputs, outputs }): readonly Dimension[] {
    return [
      { name: 'sample', kind: 'sample', size: outputs[0]![0]!, axis: 0 },
      { name: 'channel', kind: 'attribute', size: inputs[0]![1]!, axis: 1 },
    ];
  },
  inputRegion({ inputs }, output) {
    const shape = inputs[0]!;
    const perChannel = shape.slice(2).reduce((a, b) => a * b, 1);
    const [start, end] = output[1]!;
    const rest = shape.slice(2).map((extent): Interval => [0, extent]);
    return [output[0]!, [Math.floor(start / perChannel), Math.ceil(end / perChannel)], ...rest];
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward(emit) {
    const x = emit.input(0);
    const shape = [x.shape[0]!, x.shape.slice(1).reduce((a, b) => a * b, 1)];
    emit.setOutput(0, emit.node('Flatten', [x], shape, { axis: int(1) }));
  },
  backward(emit, { inputs }) {
    const shape = inputs[0]!.map(([start, end]) => end - start);
    emit.setGradInput(0, emit.reshape(emit.gradOutput(0), shape));
  },
};
