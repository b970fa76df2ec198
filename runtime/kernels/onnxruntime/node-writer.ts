import type { OnnxAttribute, OnnxGraph, OnnxNode, OnnxTensor } from '../../../soap/onnx/model.ts';

/** A node that is written. */
interface Written {
  readonly attributes?: Readonly<Record<string, OnnxAttribute>>;
  /** The library's own operators are not in the default one. */
  readonly domain?: string;
  /** Name of its result; one of the writer's own where left out or undefined. */
  readonly output?: string | undefined;
}

/** Writes nodes and constants in the place of others of a graph, under names of its own. */
export class NodeWriter {
  readonly nodes: OnnxNode[] = [];
  /** Those of the graph, and what was written. */
  readonly initializers: Map<string, OnnxTensor>;
  readonly #prefix: string;
  #count = 0;

  /** @param prefix of names, which no other writer of the same graph has */
  constructor(graph: OnnxGraph, prefix: string) {
    this.initializers = new Map(graph.initializers);
    this.#prefix = prefix;
  }

  /** Returns the name of the node's result. */
  emit(opType: string, inputs: readonly string[], { attributes = {}, domain = '', output }: Written = {}): string {
    const name = `${this.#prefix}_${this.#count++}`;
    const result = output ?? name;
    this.nodes.push({ name, opType, domain, inputs, outputs: [result], attributes });
    return result;
  }

  reshape(value: string, shape: readonly number[], output?: string): string {
    return this.emit('Reshape', [value, this.constant(shape)], { output });
  }

  /** Returns the name of a vector of int64. */
  constant(values: readonly number[]): string {
    const name = `${this.#prefix}_c${this.#count++}`;
    this.initializers.set(name, { dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) });
    return name;
  }
}
