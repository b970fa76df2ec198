import type { OnnxDType, OnnxNode, OnnxTensor } from '../../onnx/model.ts';
import { elementCount } from '../../onnx/indexing.ts';

/** A node with what is known of its inputs. */
export interface FoldScope {
  readonly node: OnnxNode;
  /** The known value of an input, or undefined. */
  readonly constant: (input: number) => OnnxTensor | undefined;
  /** The static shape of an input, or undefined where it is not known. */
  readonly shape: (input: number) => readonly number[] | undefined;
}

/** The value of a node's only output, or undefined where it cannot be known yet. */
export type Folder = (scope: FoldScope) => OnnxTensor | undefined;

/** Results above this are not arithmetic on shapes, scales or masks; the node is then refused or left to the engine. */
export const MAX_FOLDED_ELEMENTS: number = 2 ** 24;

/** A tensor of these elements, brought to the type; undefined where they are too many, or no integers of int64. */
export function folded(dtype: OnnxDType, shape: readonly number[], values: ArrayLike<number>): OnnxTensor | undefined {
  if (values.length > MAX_FOLDED_ELEMENTS || values.length !== elementCount(shape)) return undefined;
  switch (dtype) {
    case 'float32':
      return { dtype, shape, data: Float32Array.from(values) };
    case 'float64':
      return { dtype, shape, data: Float64Array.from(values) };
    case 'int32':
    case 'int64': {
      const whole = Array.from(values);
      return whole.every(Number.isSafeInteger)
        ? { dtype: 'int64', shape, data: BigInt64Array.from(whole, BigInt) }
        : undefined;
    }
    case 'uint8':
    case 'bool':
      return { dtype, shape, data: Uint8Array.from(values) };
  }
}

/** The elements as numbers, of any type; undefined for what is not known, or too much to fold. */
export function numbersOf(tensor: OnnxTensor | undefined): Float64Array | undefined {
  if (tensor === undefined || tensor.data.length > MAX_FOLDED_ELEMENTS) return undefined;
  return Float64Array.from<number | bigint>(tensor.data, Number);
}

/** The largest int64; as a number it is one more, which would become the least. */
const MAX_INT64 = 2n ** 63n - 1n;

/** A list of integers. */
export function integers(values: readonly number[], shape: readonly number[] = [values.length]): OnnxTensor {
  const data = BigInt64Array.from(values, (value) => (value >= 2 ** 63 ? MAX_INT64 : BigInt(value)));
  return { dtype: 'int64', shape, data };
}

/** The values of an integer tensor: axes, extents, indices. */
export function integerValues(tensor: OnnxTensor | undefined): number[] | undefined {
  if (tensor === undefined || (tensor.dtype !== 'int64' && tensor.dtype !== 'int32')) return undefined;
  const values = numbersOf(tensor);
  return values && Array.from(values);
}

/** A list that an attribute or, in later operator sets, an input gives; undefined where neither does. */
export function listOf({ node, constant }: FoldScope, name: string, input: number): readonly number[] | undefined {
  const attribute = node.attributes[name];
  return attribute?.type === 'ints' ? attribute.value : integerValues(constant(input));
}

/** An integer attribute. */
export function intOf({ node }: FoldScope, name: string, otherwise: number): number {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' ? attribute.value : otherwise;
}
