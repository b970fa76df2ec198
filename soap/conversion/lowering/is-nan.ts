import type { OnnxNode, OnnxTensor } from '../../onnx/model.ts';

const ZERO: OnnxTensor = { dtype: 'int64', shape: [], data: BigInt64Array.of(0n) };

/**
 * An IsNaN as what only values that are not numbers are, different from themselves: PyTorch's exporters ask for them behind the
 * softmax of attention with a mask of booleans.
 */
export function isNanAsUnequal({ name, inputs, outputs }: OnnxNode): OnnxNode[] {
  const [x, y] = [inputs[0]!, outputs[0]!];
  const node = (opType: string, reads: readonly string[], made: string): OnnxNode => ({
    name,
    opType,
    domain: '',
    inputs: reads,
    outputs: [made],
    attributes: {},
  });
  const zero = node('Constant', [], `${y}:zero`);
  return [
    { ...zero, attributes: { value: { type: 'tensor', value: ZERO } } },
    node('Equal', [x, x], `${y}:itself`),
    node('Equal', [`${y}:itself`, `${y}:zero`], y),
  ];
}
