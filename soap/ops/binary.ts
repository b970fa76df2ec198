import type { Attributes } from '../graph/graph.ts';
import { regionShape } from '../region/region.ts';
import type { Arithmetic, Operand } from './arithmetic.ts';
import { arithmetic } from './arithmetic.ts';
import { broadcastRegion, operandShape, sumToShape } from './broadcast.ts';
import { elementwiseDimensions, elementwiseFlops } from './elementwise.ts';
import type { Value } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { OpError, sameDtype } from './op.ts';

/** What tells one elementwise op of two operands from another. */
export interface BinaryOp {
  readonly kind: string;
  readonly onnxType: string;
  /** Operations per element of the backward pass. */
  readonly backwardFlops: number;
  readonly forward: (math: Arithmetic, a: Operand, b: Operand) => Value;
  /** Gradient of the first or second operand, before it is summed to the operand's shape. */
  readonly gradient: (math: Arithmetic, operand: 0 | 1, a: () => Operand, b: () => Operand, dy: Value) => Value;
}

/**
 * An elementwise op of two operands with numpy's broadcasting. Either operand may be a constant number: attribute `scalar`,
 * on the left where `scalarFirst` is true; the op then has one input.
 */
export function binaryOp({ kind, onnxType, backwardFlops, forward, gradient }: BinaryOp): OpDefinition {
  return {
    kind,
    onnxTypes: [onnxType],
    fromOnnx(_node, context) {
      for (const [constant, other] of [
        [1, 0],
        [0, 1],
      ] as const) {
        const scalar = context.scalar(constant);
        if (scalar === undefined || context.shape(constant).length > context.shape(other).length) continue;
        return { attributes: constant === 0 ? { scalar, scalarFirst: true } : { scalar }, inputs: [other] };
      }
      return { attributes: {}, inputs: [0, 1] };
    },
    outputShapes(inputs, attributes) {
      const expected = scalarOf(attributes) === undefined ? 2 : 1;
      if (inputs.length !== expected)
        throw new OpError(`${onnxType} has ${inputs.length} inputs; expected ${expected}`);
      return [operandShape(onnxType, inputs)];
    },
    outputDtypes: sameDtype,
    integerInputs: 'all',
    dimensions: elementwiseDimensions,
    inputRegion: ({ inputs }, output, input) => broadcastRegion(inputs[input]!, output),
    forwardFlops: elementwiseFlops(1),
    backwardFlops: elementwiseFlops(backwardFlops),
    forward(emit, { signature }) {
      const [a, b] = operands(signature.attributes, (input) => emit.input(input));
      emit.setOutput(0, forward(arithmetic(emit), a(), b()));
    },
    backward(emit, { signature, inputs }) {
      const [a, b] = operands(signature.attributes, (input) => emit.input(input));
      const scalar = scalarOf(signature.attributes);
      for (const input of [0, 1] as const) {
        if (!emit.wantsGradInput(input)) continue;
        const operand = scalar !== undefined && signature.attributes['scalarFirst'] === true ? 1 : input;
        const slope = gradient(arithmetic(emit), operand, a, b, emit.gradOutput(0));
        emit.setGradInput(input, sumToShape(emit, slope, regionShape(inputs[input]!)));
      }
    },
  };
}

function operands(
  attributes: Attributes,
  input: (index: number) => Value,
): readonly [a: () => Operand, b: () => Operand] {
  const scalar = scalarOf(attributes);
  if (scalar === undefined) return [() => input(0), () => input(1)];
  return attributes['scalarFirst'] === true ? [() => scalar, () => input(0)] : [() => input(0), () => scalar];
}

function scalarOf(attributes: Attributes): number | undefined {
  const { scalar } = attributes;
  return typeof scalar === 'number' ? scalar : undefined;
}
