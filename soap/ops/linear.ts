import type { Region } from '../strategy/region.ts';
import { regionShape } from '../strategy/region.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { OpError } from './op.ts';

const [X, WEIGHT, BIAS] = [0, 1, 2];
/** Index among the dimensions. */
const WIDTH = 2;

/**
 * y = x W^T + b with x [N, in], W [out, in] (or [in, out] where `transposed` is false), b [out].
 * The paper's matrix multiplication: sample and channel, where channel splits W and b. Beyond the paper, width splits the sum
 * over the inputs: a row-parallel layer.
 */
export const linear: OpDefinition = {
  kind: 'linear',
  onnxTypes: ['Gemm'],
  fromOnnx(node, context) {
    for (const [name, expected] of [
      ['alpha', 1],
      ['beta', 1],
      ['transA', 0],
    ] as const) {
      const attribute = node.attributes[name];
      const got = attribute?.type === 'float' || attribute?.type === 'int' ? attribute.value : expected;
      if (got !== expected) throw new OpError(`Gemm has ${name} ${got}; expected ${expected}`);
    }
    const transB = node.attributes['transB'];
    const hasBias = node.inputs.length > BIAS && node.inputs[BIAS] !== '';
    if (hasBias && context.shape(BIAS).length !== 1) {
      throw new OpError(`Gemm has a bias of shape [${context.shape(BIAS)}]; expected one number per output channel`);
    }
    return {
      attributes: { transposed: transB?.type === 'int' && transB.value === 1 },
      inputs: hasBias ? [X, WEIGHT, BIAS] : [X, WEIGHT],
    };
  },
  outputShapes([x, weight, bias], attributes) {
    if (x?.length !== 2 || weight?.length !== 2) {
      throw new OpError(`Gemm has inputs of shapes [${x}] and [${weight}]; expected two matrices`);
    }
    const [out, width] = attributes['transposed'] === true ? weight : weight.toReversed();
    if (width !== x[1]) throw new OpError(`Gemm has an input of width ${x[1]}; its weight expects ${width}`);
    if (bias !== undefined && bias[0] !== out)
      throw new OpError(`Gemm has a bias of ${bias[0]}; its weight gives ${out} channels`);
    return [[x[0]!, out!]];
  },
  dimensions({ inputs, outputs }): readonly Dimension[] {
    return [
      { name: 'sample', kind: 'sample', size: outputs[0]![0]!, axis: 0 },
      { name: 'channel', kind: 'parameter', size: outputs[0]![1]!, axis: 1 },
      { name: 'width', kind: 'reduction', size: inputs[X]![1]!, axis: undefined },
    ];
  },
  inputRegion({ attributes }, output, input, ranges): Region | undefined {
    const [samples, channels] = [output[0]!, output[1]!];
    const width = ranges[WIDTH]!;
    if (input === X) return [samples, width];
    // One of the partial sums has the bias.
    if (input === BIAS) return width[0] === 0 ? [channels] : undefined;
    return attributes['transposed'] === true ? [channels, width] : [width, channels];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  forward(emit, { signature }) {
    const inputs = [emit.input(X), emit.input(WEIGHT)];
    const { transposed, shape } = weightLayout(
      inputs[0]!.shape,
      inputs[1]!.shape,
      signature.attributes['transposed'] === true,
    );
    if (emit.reads(BIAS)) inputs.push(emit.input(BIAS));
    emit.setOutput(0, emit.node('Gemm', inputs, shape, { transB: int(transposed ? 1 : 0) }));
  },
  backward(emit, part) {
    const transposed = part.signature.attributes['transposed'] === true;
    const dy = emit.gradOutput(0);
    const weightShape = regionShape(part.inputs[WEIGHT]!);
    if (emit.wantsGradInput(X)) {
      const shape = regionShape(part.inputs[X]!);
      emit.setGradInput(X, emit.node('Gemm', [dy, emit.input(WEIGHT)], shape, { transB: int(transposed ? 0 : 1) }));
    }
    if (emit.wantsGradInput(WEIGHT)) {
      const x = emit.input(X);
      const product = transposed ? [dy, x] : [x, dy];
      emit.setGradInput(WEIGHT, emit.node('Gemm', product, weightShape, { transA: int(1) }));
    }
    if (emit.wantsGradInput(BIAS)) emit.setGradInput(BIAS, emit.reduceSum(dy, [0]));
  },
};

function weightLayout(
  x: readonly number[],
  weight: readonly number[],
  transposed: boolean,
): { transposed: boolean; shape: number[] } {
  return { transposed, shape: [x[0]!, transposed ? weight[0]! : weight[1]!] };
}

function multiplyAdds({ output, inputs }: Part): number {
  const [samples, channels] = regionShape(output);
  return samples! * channels! * regionShape(inputs[X]!)[1]!;
}
