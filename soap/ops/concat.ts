import type { Shape } from '../graph/graph.ts';
import type { Interval } from '../region/region.ts';
import { regionShape } from '../region/region.ts';
import { elementwiseDimensions } from './elementwise.ts';
import { int } from './emitter.ts';
import { nodeAxis } from './node-axes.ts';
import type { OpDefinition, Part } from './op.ts';
import { numberAttribute, OpError, sameDtype } from './op.ts';

/** Joins tensors along an axis. A part reads only those that its box meets. */
export const concat: OpDefinition = {
  kind: 'concat',
  onnxTypes: ['Concat'],
  fromOnnx(node, context) {
    const axis = node.attributes['axis'];
    const at = axis?.type === 'int' ? axis.value : 1;
    return { attributes: { axis: nodeAxis(node, at, context.shape(0).length) }, inputs: [...node.inputs.keys()] };
  },
  outputShapes(inputs, attributes) {
    const axis = numberAttribute(attributes, 'axis');
    const others = (shape: Shape): string => String(shape.with(axis, 0));
    const [first] = inputs;
    if (first === undefined || inputs.some((shape) => shape.length <= axis || others(shape) !== others(first))) {
      throw new OpError(
        `Concat has inputs of shapes ${inputs.map((shape) => `[${shape}]`).join(', ')}; expected them to differ along ` +
          `axis ${axis} only`,
      );
    }
    return [
      first.with(
        axis,
        inputs.reduce((sum, shape) => sum + shape[axis]!, 0),
      ),
    ];
  },
  outputDtypes: sameDtype,
  integerInputs: 'all',
  dimensions: elementwiseDimensions,
  inputRegion(signature, output, input) {
    const axis = numberAttribute(signature.attributes, 'axis');
    const [start, end] = output[axis]!;
    const [first, last] = place(signature.inputs, axis, input);
    if (start >= last || end <= first) return undefined;
    return output.with(axis, [Math.max(start, first) - first, Math.min(end, last) - first]);
  },
  forwardFlops: () => 0,
  backwardFlops: () => 0,
  forward(emit, part) {
    const values = readInputs(part).map((index) => emit.input(index));
    const axis = int(numberAttribute(part.signature.attributes, 'axis'));
    const [only] = values;
    emit.setOutput(0, values.length === 1 ? only! : emit.node('Concat', values, regionShape(part.output), { axis }));
  },
  backward(emit, part) {
    const axis = numberAttribute(part.signature.attributes, 'axis');
    const dy = emit.gradOutput(0);
    let start = 0;
    for (const index of readInputs(part)) {
      const shape = regionShape(part.inputs[index]!);
      const end = start + shape[axis]!;
      if (emit.wantsGradInput(index)) {
        const bounds = [[start], [end], [axis]].map((values) => emit.ints(values));
        emit.setGradInput(index, end - start === dy.shape[axis] ? dy : emit.node('Slice', [dy, ...bounds], shape));
      }
      start = end;
    }
  },
};

/** Where an input lies along the axis of the output. */
function place(inputs: readonly Shape[], axis: number, input: number): Interval {
  const start = inputs.slice(0, input).reduce((sum, shape) => sum + shape[axis]!, 0);
  return [start, start + inputs[input]![axis]!];
}

function readInputs({ inputs }: Part): number[] {
  return inputs.flatMap((region, index) => (region === undefined ? [] : [index]));
}
