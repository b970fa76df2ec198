import { encodeOnnx } from '../onnx/encode.ts';
import type { OnnxGraph } from '../onnx/model.ts';
import { trainedNames } from './trained.ts';

/** Weights of at most so many elements stay: rewrites look at the values of small ones, and they take no room. */
const SMALL_ELEMENTS = 64;

/**
 * A model file without its weights, from which the same graph is imported as from the file itself (`decodeOnnx` with zeros for what is
 * absent): a plan needs no more. What is not trained stays, such as masks and indices.
 */
export function structureOf(onnx: OnnxGraph): Uint8Array {
  const trained = trainedNames(onnx);
  return encodeOnnx(onnx, (name, tensor) => tensor.data.length > SMALL_ELEMENTS && trained.has(name));
}
