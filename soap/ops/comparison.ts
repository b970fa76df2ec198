import { dtypeCode } from '../onnx/element-types.ts';
import type { Arithmetic, Operand } from './arithmetic.ts';
import { arithmetic } from './arithmetic.ts';
import type { BinaryOp } from './binary.ts';
import { binaryOp } from './binary.ts';
import type { Emitter, Value } from './emitter.ts';
import { int } from './emitter.ts';
import type { OpDefinition } from './op.ts';
import { OpError } from './op.ts';

/**
 * A comparison of two operands with broadcasting; either may be a constant number. Its result is int64, 1 where it holds and 0
 * elsewhere, as `where` reads conditions. It has no gradient.
 */
export function comparisonOp(
  kind: string,
  onnxType: string,
  holds: (math: Arithmetic, a: Operand, b: Operand) => Value,
): OpDefinition {
  const binary = binaryOp({ kind, onnxType, backwardFlops: 0, forward: holds, gradient: noGradient });
  return {
    ...binary,
    outputDtypes: () => ['int64'],
    forward(emit, part) {
      const { attributes } = part.signature;
      const math = arithmetic(emit);
      const { scalar, scalarFirst } = attributes;
      const x = typeof scalar === 'number' ? comparable(emit, emit.input(0), scalar) : emit.input(0);
      const other = typeof scalar === 'number' ? scalar : emit.input(1);
      const [a, b] = scalarFirst === true ? [other, x] : [x, other];
      const condition = holds(math, a, b);
      emit.setOutput(
        0,
        emit.node('Cast', [condition], condition.shape, { to: int(dtypeCode('int64')) }, { dtype: 'int64' }),
      );
    },
    backward() {
      throw new OpError(`internal: ${kind} has no backward pass`);
    },
  };
}

/** Both operands of a node are of one type: whole numbers stay what they are where the number is one too. */
function comparable(emit: Emitter, x: Value, scalar: number): Value {
  if (x.dtype !== 'int64' || Number.isSafeInteger(scalar)) return x;
  return emit.node('Cast', [x], x.shape, { to: int(dtypeCode('float32')) }, { dtype: 'float32' });
}

const noGradient: BinaryOp['gradient'] = () => {
  throw new OpError('internal: comparisons have no gradient');
};
