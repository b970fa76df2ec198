import type { OnnxDType, OnnxGraph, OnnxTensor } from '../onnx/model.ts';
import { constantAttributes } from '../ops/constant.ts';
import type { OpDefinition } from '../ops/op.ts';
import { OpError } from '../ops/op.ts';
import { GraphBuilder } from '../training/builder.ts';
import type { Shape } from '../graph/graph.ts';
import { rotaryTables, trainedNames } from './trained.ts';

/** What is known of an ONNX file's values by their names, as its nodes are imported one after the other. */
export class KnownValues {
  readonly builder: GraphBuilder = new GraphBuilder();
  readonly constants: Map<string, OnnxTensor>;
  /** Names of constants that training changes. */
  readonly trained: Set<string>;
  /** Names of constants that are no parameters: the file says so, or they are tables of angles; and of what is folded from them. */
  readonly buffers: Set<string>;
  /** Tensor ids of what ops compute or read. */
  readonly values: Map<string, number> = new Map();
  /** Initial values of parameters. */
  readonly weights: Map<string, Float32Array> = new Map();

  constructor(onnx: OnnxGraph) {
    this.constants = new Map(onnx.initializers);
    this.trained = trainedNames(onnx);
    this.buffers = new Set([...(onnx.buffers ?? []), ...rotaryTables(onnx)]);
  }

  has(name: string): boolean {
    return this.values.has(name) || this.constants.has(name);
  }

  shapeOf(name: string): Shape | undefined {
    const id = this.values.get(name);
    return id === undefined ? this.constants.get(name)?.shape : this.builder.shape(id);
  }

  dtypeOf(name: string): OnnxDType {
    const id = this.values.get(name);
    return (id === undefined ? this.constants.get(name)?.dtype : this.builder.dtype(id)) ?? 'float32';
  }

  /**
   * The tensor an op reads: a computed value, a constant, or a constant that becomes a parameter.
   * @param input position among the op's inputs
   * @throws {OpError} where it is none of these
   */
  operand(name: string, definition: OpDefinition, input: number): number {
    const known = this.values.get(name);
    if (known !== undefined) return known;
    const constant = this.constants.get(name);
    if (constant === undefined)
      throw new OpError('leaves out an input; expected a value there: export the model again');
    if (!this.#isWeight(name, definition, input)) {
      const id = this.builder.op('constant', name, [], constantAttributes(constant));
      this.values.set(name, id);
      return id;
    }
    if (!(constant.data instanceof Float32Array)) {
      throw new OpError(`reads constant '${name}' of type ${constant.dtype}; expected float32 weights`);
    }
    const id = this.builder.parameter(name, constant.shape);
    this.values.set(name, id);
    this.weights.set(name, constant.data);
    return id;
  }

  /** Whether training changes a constant that an op reads at an input. */
  #isWeight(name: string, { weightInputs = [] }: OpDefinition, input: number): boolean {
    return this.trained.has(name) || (weightInputs.includes(input) && !this.buffers.has(name));
  }
}
