import { ELEMENT_BYTES } from '../../../soap/onnx/element-types.ts';
import type { Rewriter } from './rewriter.ts';

/** Half of what WebGPU grants a binding unasked. Source: WebGPU, maxStorageBufferBindingSize. */
export const MOST_JOINED_BYTES: number = 64 * 2 ** 20;

/** Factors of products, all of one shape, of three axes. */
export interface Factors {
  readonly values: readonly string[];
  /** Elements of each. */
  readonly elements: number;
  /** What lies beside each other in one product may have so many bytes; one factor may always. */
  readonly mostBytes: number;
  /** Along which they, and their products, lie beside each other. */
  readonly axis: 1 | 2;
}

/**
 * The products of factors, beside each other: a product for as many factors as may be joined.
 * @param multiply a product with joined factors
 */
export function joinedProducts(
  { values, elements, mostBytes, axis }: Factors,
  multiply: (joined: string) => string,
  to: Rewriter,
): string {
  const beside = (some: readonly string[]): string =>
    some.length === 1 ? some[0]! : to.node('Concat', some, { axis: { type: 'int', value: axis } });
  const together = Math.max(1, Math.floor(mostBytes / (elements * ELEMENT_BYTES.float32)));
  const products: string[] = [];
  for (let first = 0; first < values.length; first += together)
    products.push(multiply(beside(values.slice(first, first + together))));
  return beside(products);
}
