import type { OnnxAttribute, OnnxNode } from '../../../soap/onnx/model.ts';
import { KernelError } from '../kernels.ts';
import { normalAxis } from './indexing.ts';
import type { Tensor } from './tensor.ts';

/** Computes a node's outputs. An omitted optional input is undefined. */
export type NodeFunction = (inputs: readonly (Tensor | undefined)[]) => readonly Tensor[];

/** Reads a node's attributes and returns its function. @throws {KernelError} for what is not supported */
export type NodeCompiler = (node: NodeReader) => NodeFunction;

/** Node compilers by op type. */
export type NodeTable = Readonly<Record<string, NodeCompiler>>;

/** A node's attributes, and errors that name the node. It knows which attributes were read. */
export class NodeReader {
  readonly outputCount: number;
  readonly #node: OnnxNode;
  readonly #read = new Set<string>();

  constructor(node: OnnxNode) {
    this.#node = node;
    this.outputCount = node.outputs.length;
  }

  int(name: string, fallback: number): number {
    return this.#get(name, 'int')?.value ?? fallback;
  }
  float(name: string, fallback: number): number {
    return this.#get(name, 'float')?.value ?? fallback;
  }
  string(name: string, fallback: string): string {
    return this.#get(name, 'string')?.value ?? fallback;
  }
  ints(name: string): readonly number[] | undefined {
    return this.#get(name, 'ints')?.value;
  }
  attribute<T extends OnnxAttribute['type']>(name: string, type: T): Extract<OnnxAttribute, { type: T }> | undefined {
    return this.#get(name, type);
  }

  /** Refuses attributes that the compiler did not ask for: to ignore one could compute something else. */
  finish(): void {
    const unread = Object.keys(this.#node.attributes).filter((name) => !this.#read.has(name));
    if (unread.length > 0) throw this.error(`attribute ${unread.join(', ')} is not supported`);
  }

  /** The input, which must be there. */
  input(inputs: readonly (Tensor | undefined)[], index: number): Tensor {
    const value = inputs[index];
    if (value === undefined) throw this.error(`input ${index} is missing`);
    return value;
  }

  /** The elements of a list such as axes or a shape; undefined where the optional input is omitted. */
  list(inputs: readonly (Tensor | undefined)[], index: number): number[] | undefined {
    const value = inputs[index];
    return value && [...value.data];
  }

  /** An axis counted from the start. */
  axis(axis: number, rank: number): number {
    const normal = normalAxis(axis, rank);
    if (normal === undefined) throw this.error(`axis ${axis} is not one of ${rank}`);
    return normal;
  }

  error(problem: string): KernelError {
    return new KernelError(`node '${this.#node.name}' (${this.#node.opType}): ${problem}`);
  }

  #get<T extends OnnxAttribute['type']>(name: string, type: T): Extract<OnnxAttribute, { type: T }> | undefined {
    this.#read.add(name);
    const attribute = this.#node.attributes[name];
    if (attribute === undefined) return undefined;
    if (!isType(attribute, type))
      throw this.error(`attribute '${name}' is of type ${attribute.type}; expected ${type}`);
    return attribute;
  }
}

function isType<T extends OnnxAttribute['type']>(
  attribute: OnnxAttribute,
  type: T,
): attribute is Extract<OnnxAttribute, { type: T }> {
  return attribute.type === type;
}
