import type { Region } from '../region/region.ts';
import { regionShape, regionVolume } from '../region/region.ts';
import { broadcastShape } from '../onnx/indexing.ts';
import { broadcastRegion, sumToShape } from './broadcast.ts';
import { int } from './emitter.ts';
import type { Dimension, OpDefinition, Part } from './op.ts';
import { OpError } from './op.ts';

const [A, B] = [0, 1];

/**
 * y = a b, with a [..., M, K] and b [..., K, N] both computed; the axes before broadcast. The first axis is sample, the
 * others are attributes, and width splits the sum over K. A product with a weight is the op `linear`.
 */
export const matmul: OpDefinition = {
  kind: 'matmul',
  onnxTypes: ['MatMul'],
  fromOnnx: () => ({ attributes: {}, inputs: [A, B] }),
  outputShapes([a = [], b = []]) {
    const batch = broadcastShape(a.slice(0, -2), b.slice(0, -2));
    if (a.length < 2 || b.length < 2 || batch === undefined || a.at(-1) !== b.at(-2)) {
      throw new OpError(`MatMul has inputs of shapes [${a}] and [${b}]; expected [..., M, K] and [..., K, N]`);
    }
    return [[...batch, a.at(-2)!, b.at(-1)!]];
  },
  dimensions({ inputs, outputs }): readonly Dimension[] {
    const shape = outputs[0]!;
    return [
      ...shape.map((size, axis): Dimension => ({
        name: nameOf(axis, shape.length),
        kind: axis === 0 ? 'sample' : 'attribute',
        size,
        axis,
      })),
      { name: 'width', kind: 'reduction', size: inputs[A]!.at(-1)!, axis: undefined },
    ];
  },
  inputRegion({ inputs }, output, input, ranges): Region {
    const shape = inputs[input]!;
    const batch = broadcastRegion(shape.slice(0, -2), output.slice(0, -2));
    const width = ranges.at(-1)!;
    return [...batch, ...(input === A ? [output.at(-2)!, width] : [width, output.at(-1)!])];
  },
  forwardFlops: (part) => 2 * multiplyAdds(part),
  backwardFlops: (part) => 4 * multiplyAdds(part),
  forward(emit, part) {
    emit.setOutput(0, emit.node('MatMul', [emit.input(A), emit.input(B)], regionShape(part.output)));
  },
  /** da = dy b^T and db = a^T dy, summed over the axes along which an operand was repeated. */
  backward(emit) {
    const dy = emit.gradOutput(0);
    const fused = { domain: 'com.microsoft' };
    if (emit.wantsGradInput(A)) {
      const [a, b] = [emit.input(A).shape, emit.input(B)];
      const shape = [...dy.shape.slice(0, -1), a.at(-1)!];
      emit.setGradInput(A, sumToShape(emit, emit.node('FusedMatMul', [dy, b], shape, { transB: int(1) }, fused), a));
    }
    if (emit.wantsGradInput(B)) {
      const [a, b] = [emit.input(A), emit.input(B).shape];
      const shape = [...dy.shape.slice(0, -2), b.at(-2)!, dy.shape.at(-1)!];
      emit.setGradInput(B, sumToShape(emit, emit.node('FusedMatMul', [a, dy], shape, { transA: int(1) }, fused), b));
    }
  },
};

function nameOf(axis: number, rank: number): string {
  if (axis === 0) return 'sample';
  return axis === rank - 1 ? 'column' : axis === rank - 2 ? 'row' : `axis${axis}`;
}

function multiplyAdds({ output, ranges }: Part): number {
  const [start, end] = ranges.at(-1)!;
  return regionVolume(output) * (end - start);
}
