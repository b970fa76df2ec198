import { opDefinition } from '../ops/index.ts';
import { OpError } from '../ops/op.ts';
import type { Attributes, DType, Graph, Op, Shape, Tensor } from '../graph/graph.ts';

/** Builds a graph op by op, inferring shapes. */
export class GraphBuilder {
  readonly #tensors: Tensor[] = [];
  readonly #ops: Op[] = [];
  readonly #opNames = new Set<string>();
  readonly #parameterNames = new Set<string>();
  readonly #inputs: number[] = [];

  /** Continues an existing graph. */
  static from(graph: Graph): GraphBuilder {
    const builder = new GraphBuilder();
    builder.#tensors.push(...graph.tensors);
    builder.#inputs.push(...graph.inputs);
    for (const { name, role } of graph.tensors) if (role === 'parameter') builder.#parameterNames.add(name);
    for (const op of graph.ops) {
      builder.#ops.push(op);
      builder.#opNames.add(op.name);
    }
    return builder;
  }

  /** Adds a tensor fed from the data set; dimension 0 counts samples. Returns its id. */
  input(name: string, shape: Shape, dtype: DType = 'float32'): number {
    const id = this.#tensor({ name, shape, dtype, role: 'input' });
    this.#inputs.push(id);
    return id;
  }

  /** Adds a trained tensor. Returns its id. @throws {OpError} where there is one of that name */
  parameter(name: string, shape: Shape): number {
    if (this.#parameterNames.has(name)) {
      throw new OpError(`parameter '${name}' is read in two layouts; expected all its readers to agree on its shape`);
    }
    this.#parameterNames.add(name);
    return this.#tensor({ name, shape, dtype: 'float32', role: 'parameter' });
  }

  /**
   * Adds an op. Returns the id of its first output.
   * @throws {OpError} naming the op, where the inputs do not fit it.
   */
  op(kind: string, name: string, inputs: readonly number[], attributes: Attributes = {}): number {
    return this.opOutputs(kind, name, inputs, attributes)[0]!;
  }

  /** Adds an op, as {@link op} does. Returns the ids of all its outputs. */
  opOutputs(kind: string, name: string, inputs: readonly number[], attributes: Attributes = {}): readonly number[] {
    const uniqueName = this.#unique(name);
    const shapes = this.#outputShapes(kind, uniqueName, inputs, attributes);
    const dtypes = opDefinition(kind).outputDtypes?.(
      inputs.map((id) => this.#tensors[id]!.dtype),
      attributes,
    );
    const outputs = shapes.map((shape, index) =>
      this.#tensor({
        name: index === 0 ? uniqueName : `${uniqueName}:${index}`,
        shape,
        dtype: dtypes?.[index] ?? 'float32',
        role: 'activation',
      }),
    );
    this.#ops.push({ id: this.#ops.length, name: uniqueName, kind, attributes, inputs, outputs });
    return outputs;
  }

  shape(tensor: number): Shape {
    return this.#tensors[tensor]!.shape;
  }

  dtype(tensor: number): DType {
    return this.#tensors[tensor]!.dtype;
  }

  /** The outputs of the op whose first output this is. */
  outputsOf(first: number): readonly number[] {
    return this.#ops.findLast(({ outputs }) => outputs[0] === first)?.outputs ?? [first];
  }

  build(name: string, outputs: readonly number[]): Graph {
    return { name, tensors: this.#tensors, ops: this.#ops, inputs: this.#inputs, outputs };
  }

  #outputShapes(kind: string, name: string, inputs: readonly number[], attributes: Attributes): readonly Shape[] {
    try {
      const shapes = inputs.map((id) => this.#tensors[id]!.shape);
      return opDefinition(kind).outputShapes(shapes, attributes);
    } catch (error) {
      if (error instanceof OpError) throw new OpError(`op '${name}': ${error.message}`, { cause: error });
      throw error;
    }
  }

  #tensor(tensor: Omit<Tensor, 'id'>): number {
    const id = this.#tensors.length;
    this.#tensors.push({ id, ...tensor });
    return id;
  }

  #unique(name: string): string {
    let candidate = name;
    for (let suffix = 2; this.#opNames.has(candidate); suffix++) candidate = `${name}_${suffix}`;
    this.#opNames.add(candidate);
    return candidate;
  }
}
