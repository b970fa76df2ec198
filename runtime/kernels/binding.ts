import type { OnnxDType, OnnxGraph, OnnxValue } from '../../soap/onnx/model.ts';
import type { TensorBuffer } from './kernels.ts';
import { KernelError } from './kernels.ts';
import { elementCount } from '../../soap/onnx/indexing.ts';

/** A graph input or output with the buffer it was given. */
export interface BoundValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  readonly buffer: TensorBuffer;
}

/** @throws {KernelError} for an input or output with a symbolic dimension: engines compile static shapes */
export function requireStaticShapes(graph: OnnxGraph): void {
  const symbolic = [...graph.inputs, ...graph.outputs].filter(({ shape }) => shape.some((x) => typeof x === 'string'));
  if (symbolic.length === 0) return;
  const listed = symbolic.map(({ name, shape }) => `'${name}' [${shape}]`).join(', ');
  throw new KernelError(`kernel '${graph.name}' has symbolic dimensions in ${listed}; expected numbers`);
}

/**
 * Matches buffers with a graph's inputs and outputs: every one of them, nothing else, right type and length.
 * @throws {KernelError} with all that does not match
 */
export function matchBuffers(
  graph: OnnxGraph,
  buffers: Readonly<Record<string, TensorBuffer>>,
): { inputs: BoundValue[]; outputs: BoundValue[] } {
  const problems: string[] = [];
  const match = (value: OnnxValue): BoundValue[] => {
    const buffer = buffers[value.name];
    const shape = value.shape.map(Number);
    const elements = elementCount(shape);
    if (buffer === undefined) problems.push(`'${value.name}' has no buffer`);
    else if (buffer.length !== elements) {
      problems.push(
        `'${value.name}' of shape [${shape}] has a buffer of ${buffer.length} elements; expected ${elements}`,
      );
    } else if (buffer.dtype !== value.dtype) {
      problems.push(`'${value.name}' has a buffer of ${buffer.dtype}; expected ${value.dtype}`);
    } else return [{ name: value.name, dtype: value.dtype, shape, buffer }];
    return [];
  };
  const inputs = graph.inputs.flatMap(match);
  const outputs = graph.outputs.flatMap(match);
  const known = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const unknown = Object.keys(buffers).filter((name) => !known.has(name));
  if (unknown.length > 0) problems.push(`${unknown.join(', ')} is not of this graph; it has ${[...known].join(', ')}`);
  if (problems.length > 0) throw new KernelError(`kernel '${graph.name}': ${problems.join('; ')}`);
  return { inputs, outputs };
}
