import type { OnnxAttribute, OnnxDType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../../../soap/onnx/model.ts';
import { zerosOf } from '../../../soap/onnx/element-types.ts';
import { KernelError } from '../kernels.ts';

/** Writes a node as others. Returns false where it may stay as it is. */
export type Rewrite = (node: OnnxNode, to: Rewriter) => boolean;

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** A graph whose nodes are written anew, one after the other. */
export class Rewriter {
  readonly #graph: OnnxGraph;
  readonly #known: ReadonlyMap<string, Pick<OnnxValue, 'dtype' | 'shape'>>;
  readonly #initializers: Map<string, OnnxTensor>;
  readonly #nodes: OnnxNode[] = [];
  /** Name of the node that is rewritten: errors about what it became are to name it. */
  #node = '';

  constructor(graph: OnnxGraph) {
    this.#graph = graph;
    const values = [...graph.inputs, ...graph.outputs, ...(graph.inner ?? [])];
    this.#known = new Map<string, Pick<OnnxValue, 'dtype' | 'shape'>>([
      ...values.map((value) => [value.name, value] as const),
      ...graph.initializers,
    ]);
    this.#initializers = new Map(graph.initializers);
  }

  /** The graph by the rules, by `domain:type` of node. @throws {KernelError} naming a node that no form is known of */
  apply(rules: ReadonlyMap<string, Rewrite>): OnnxGraph {
    for (const node of this.#graph.nodes) {
      this.#node = node.name;
      const rewritten = rules.get(`${node.domain}:${node.opType}`)?.(node, this) ?? false;
      if (!rewritten) this.#nodes.push(node);
    }
    return { ...this.#graph, initializers: this.#initializers, nodes: this.#nodes };
  }

  /** @throws {KernelError} where it is not known */
  shapeOf(value: string): number[] {
    const shape = this.#known.get(value)?.shape;
    if (shape === undefined) throw this.error(`the shape of '${value}' is not known`);
    return shape.map(Number);
  }

  /** Undefined where it is not known. */
  dtypeOf(value: string): OnnxDType | undefined {
    return this.#known.get(value)?.dtype;
  }

  /** The numbers of a constant; undefined where the value is none. */
  numbersOf(value: string): number[] | undefined {
    const constant = this.#initializers.get(value);
    return constant && Array.from(constant.data, Number);
  }

  /** An error about the node that is rewritten. */
  error(reason: string): KernelError {
    return new KernelError(`node '${this.#node}': ${reason}`);
  }

  /** Adds a node. Returns the name of its result, which is a new one unless said. */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    output: string = `${this.#node}_device${this.#nodes.length}`,
  ): string {
    const name = `${this.#node}_${this.#nodes.length}`;
    this.#nodes.push({ name, opType, domain: '', inputs, outputs: [output], attributes });
    return output;
  }

  constant(tensor: OnnxTensor): string {
    const name = `${this.#node}_constant${this.#initializers.size}`;
    this.#initializers.set(name, tensor);
    return name;
  }

  scalar(value: number, dtype: OnnxDType & ('float32' | 'int32') = 'float32'): string {
    return this.constant({ dtype, shape: [], data: (dtype === 'int32' ? Int32Array : Float32Array).of(value) });
  }

  /** Zeros; made by a node, so that no large constant is kept. */
  constantZeros(shape: readonly number[], dtype: OnnxDType): string {
    const value = { type: 'tensor', value: { dtype, shape: [1], data: zerosOf(dtype, 1) } } as const;
    return this.node('ConstantOfShape', [this.integers(...shape)], { value });
  }

  integers(...values: number[]): string {
    return this.constant({ dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) });
  }
}
