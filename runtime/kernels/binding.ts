import type { OnnxDType, OnnxGraph, OnnxValue } from '../../soap/onnx/model.ts';
import type { TensorMemory } from './kernels.ts';
import { KernelError } from './kernels.ts';

/** A graph input or output with the memory it was given. */
export interface BoundValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  readonly memory: TensorMemory;
}

/** @throws {KernelError} for an input or output with a symbolic dimension: engines compile static shapes */
export function requireStaticShapes(graph: OnnxGraph): void {
  const symbolic = [...graph.inputs, ...graph.outputs].filter(({ shape }) => shape.some((x) => typeof x === 'string'));
  if (symbolic.length === 0) return;
  const listed = symbolic.map(({ name, shape }) => `'${name}' [${shape}]`).join(', ');
  throw new KernelError(`kernel '${graph.name}' has symbolic dimensions in ${listed}; expected numbers`);
}

/**
 * Matches memory with a graph's inputs and outputs: every one of them, nothing else, right type and length.
 * @throws {KernelError} with all that does not match
 */
export function matchMemory(
  graph: OnnxGraph,
  tensors: Readonly<Record<string, TensorMemory>>,
): { inputs: BoundValue[]; outputs: BoundValue[] } {
  const problems: string[] = [];
  const match = (value: OnnxValue): BoundValue[] => {
    const memory = tensors[value.name];
    const shape = value.shape.map(Number);
    const elements = shape.reduce((a, b) => a * b, 1);
    if (memory === undefined) problems.push(`'${value.name}' has no memory`);
    else if (memory.length !== elements) {
      problems.push(
        `'${value.name}' of shape [${shape}] has memory for ${memory.length} elements; expected ${elements}`,
      );
    } else if (!fits(value.dtype, memory)) {
      problems.push(`'${value.name}' has a ${memory.constructor.name}; expected ${value.dtype} elements`);
    } else return [{ name: value.name, dtype: value.dtype, shape, memory }];
    return [];
  };
  const inputs = graph.inputs.flatMap(match);
  const outputs = graph.outputs.flatMap(match);
  const known = new Set([...graph.inputs, ...graph.outputs].map(({ name }) => name));
  const unknown = Object.keys(tensors).filter((name) => !known.has(name));
  if (unknown.length > 0) problems.push(`${unknown.join(', ')} is not of this graph; it has ${[...known].join(', ')}`);
  if (problems.length > 0) throw new KernelError(`kernel '${graph.name}': ${problems.join('; ')}`);
  return { inputs, outputs };
}

function fits(dtype: OnnxDType, memory: TensorMemory): boolean {
  switch (dtype) {
    case 'float32':
      return memory instanceof Float32Array;
    case 'float64':
      return memory instanceof Float64Array;
    case 'int64':
      return memory instanceof BigInt64Array;
    case 'int32':
      return memory instanceof Int32Array;
    case 'uint8':
    case 'bool':
      return memory instanceof Uint8Array;
  }
}
