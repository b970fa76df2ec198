import type { OnnxAttribute, OnnxDType, OnnxGraph, OnnxNode, OnnxTensor, OnnxValue } from '../onnx/model.ts';

/** Operator set of every emitted kernel. */
export const KERNEL_OPSET = 17;

/** A value of the graph under construction: its ONNX name with type and static shape. */
export interface Value {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
}

/**
 * The memory that surrounds a kernel; names in it are `input0`, `output0`, `saved0`, `gradOutput0`, `gradInput0` ...,
 * `statistics` and `gathered` of ops whose parts exchange statistics, and `mask` of those that drop elements.
 */
export interface KernelFrame {
  /** Undefined where the part does not read the input. */
  readonly inputs: readonly (Value | undefined)[];
  /** Per input, whether it is fed from the data set; none where left out. */
  readonly fed?: readonly boolean[];
  readonly outputs: readonly Value[];
  /** What the forward kernel saved; empty while that one is being built. */
  readonly saved: readonly Value[];
  /** Per input, whether its gradient is asked for; only for backward kernels. */
  readonly wantsGradInput: readonly boolean[];
  /** Parts in the group that exchanges statistics, and the floats that each writes. */
  readonly group: { readonly parts: number; readonly floats: number };
}

/** Name of {@link Emitter.mask} in kernels. */
export const MASK = 'mask';

/** The group of a kernel that exchanges no statistics. */
export const ALONE: KernelFrame['group'] = { parts: 1, floats: 0 };

/**
 * Collects the ONNX nodes of one kernel. Graph inputs are those of the frame that the nodes use, so a backward kernel that
 * does not need the forward output does not keep it alive.
 */
export class Emitter {
  readonly #frame: KernelFrame;
  readonly #nodes: OnnxNode[] = [];
  readonly #inner: Value[] = [];
  readonly #used = new Map<string, Value>();
  readonly #initializers = new Map<string, OnnxTensor>();
  readonly #results = new Map<string, Value>();
  /** The statistics of a part that is alone in its group. */
  #own: Value | undefined;

  constructor(frame: KernelFrame) {
    this.#frame = frame;
  }

  input(index: number): Value {
    const value = this.#frame.inputs[index];
    if (value === undefined) throw new Error(`internal: the part does not read input ${index}`);
    return this.#use(value);
  }
  /** The op's own forward result, in a backward kernel. */
  output(index: number): Value {
    return this.#use(this.#frame.outputs[index]!);
  }
  saved(index: number): Value {
    return this.#use(this.#frame.saved[index]!);
  }
  gradOutput(index: number): Value {
    const { dtype, shape } = this.#frame.outputs[index]!;
    return this.#use({ name: `gradOutput${index}`, dtype, shape });
  }
  /** Whether the op has this input and the part reads it. */
  reads(index: number): boolean {
    return this.#frame.inputs[index] !== undefined;
  }
  /** Whether an input is fed from the data set, whose indices are within their range, from 0 on, when they are read. */
  isFed(index: number): boolean {
    return this.#frame.fed?.[index] ?? false;
  }
  wantsGradInput(index: number): boolean {
    return this.reads(index) && (this.#frame.wantsGradInput[index] ?? false);
  }
  /** The statistics of the whole group, [parts, floats]. */
  gathered(): Value {
    const { parts, floats } = this.#frame.group;
    if (this.#own !== undefined) return this.reshape(this.#own, [1, floats]);
    return this.#use({ name: 'gathered', dtype: 'float32', shape: [parts, floats] });
  }

  /** Which elements of the first output are kept, where an op drops some at random: 1 where it is, else 0; new ones in each pass. */
  mask(): Value {
    return this.#use({ name: MASK, dtype: 'uint8', shape: this.#frame.outputs[0]!.shape });
  }

  /** The number of samples, [1], which only nodes for files may read: kernels have static shapes. */
  batch(): Value {
    return this.#use({ name: 'batch', dtype: 'int64', shape: [1] });
  }

  setOutput(index: number, value: Value): void {
    this.#results.set(`output${index}`, value);
  }
  save(index: number, value: Value): void {
    this.#results.set(`saved${index}`, value);
  }
  setGradInput(index: number, value: Value): void {
    this.#results.set(`gradInput${index}`, value);
  }
  /** A part alone in its group goes on with its own statistics; others hand them out. */
  setStatistics(value: Value): void {
    if (this.#frame.group.parts === 1) this.#own = value;
    else this.#results.set('statistics', value);
  }

  /** Adds a node with one result of the given shape; the element type is that of its first input unless said. */
  node(
    opType: string,
    inputs: readonly Value[],
    shape: readonly number[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    options: { readonly domain?: string; readonly dtype?: OnnxDType } = {},
  ): Value {
    const dtype = options.dtype ?? inputs[0]?.dtype ?? 'float32';
    const [value] = this.nodes(opType, inputs, [{ dtype, shape }], attributes, options.domain);
    return value!;
  }

  /** Adds a node with several results. */
  nodes(
    opType: string,
    inputs: readonly Value[],
    results: readonly { readonly dtype: OnnxDType; readonly shape: readonly number[] }[],
    attributes: Readonly<Record<string, OnnxAttribute>> = {},
    domain = '',
  ): readonly Value[] {
    const id = this.#nodes.length;
    const values = results.map((result, k): Value => ({ name: `v${id}_${k}`, ...result }));
    this.#inner.push(...values);
    this.#nodes.push({
      name: `${opType}_${id}`,
      opType,
      domain,
      inputs: inputs.map((value) => value.name),
      outputs: values.map((value) => value.name),
      attributes,
    });
    return values;
  }

  /** A constant list of integers, as shapes and axes are given. */
  ints(values: readonly number[]): Value {
    return this.constant({ dtype: 'int64', shape: [values.length], data: BigInt64Array.from(values, BigInt) });
  }

  /** A constant int64 scalar. */
  int(value: number): Value {
    return this.constant({ dtype: 'int64', shape: [], data: BigInt64Array.of(BigInt(value)) });
  }

  /** A constant float32 scalar. */
  scalar(value: number): Value {
    return this.constant({ dtype: 'float32', shape: [], data: Float32Array.of(value) });
  }

  /** A constant float32 tensor, row-major. */
  floats(shape: readonly number[], values: readonly number[]): Value {
    return this.constant({ dtype: 'float32', shape, data: Float32Array.from(values) });
  }

  /** Zeros of float32, made when the kernel runs: as a constant they would take memory all the time. */
  zeros(shape: readonly number[]): Value {
    return this.node('ConstantOfShape', [this.ints(shape)], shape, {}, { dtype: 'float32' });
  }

  reshape(value: Value, shape: readonly number[]): Value {
    return this.node('Reshape', [value, this.ints(shape)], shape);
  }

  transpose(value: Value, permutation: readonly number[]): Value {
    const shape = permutation.map((axis) => value.shape[axis]!);
    return this.node('Transpose', [value], shape, { perm: ints(permutation) });
  }

  /** Sum over axes, which disappear. */
  reduceSum(value: Value, axes: readonly number[]): Value {
    const shape = value.shape.filter((_, axis) => !axes.includes(axis));
    return this.node('ReduceSum', [value, this.ints(axes)], shape, { keepdims: int(0) });
  }

  /** The finished graph. */
  build(name: string): OnnxGraph {
    const renamed = new Map<string, string>();
    const produced = new Set(this.#nodes.flatMap((node) => node.outputs));
    const outputs: OnnxValue[] = [];
    for (const [result, value] of this.#results) {
      if (produced.has(value.name) && !renamed.has(value.name)) renamed.set(value.name, result);
      else this.#identity(renamed.get(value.name) ?? value.name, result);
      outputs.push({ name: result, dtype: value.dtype, shape: value.shape });
    }
    const rename = (id: string): string => renamed.get(id) ?? id;
    const nodes = this.#nodes.map((node) => ({
      ...node,
      inputs: node.inputs.map(rename),
      outputs: node.outputs.map(rename),
    }));
    const inputs = [...this.#used.values()];
    const inner = this.#inner.map((value) => ({ ...value, name: rename(value.name) }));
    return { name, opset: KERNEL_OPSET, inputs, outputs, initializers: this.#initializers, inner, nodes };
  }

  #identity(from: string, to: string): void {
    const name = `Identity_${this.#nodes.length}`;
    this.#nodes.push({ name, opType: 'Identity', domain: '', inputs: [from], outputs: [to], attributes: {} });
  }

  #use(value: Value): Value {
    this.#used.set(value.name, value);
    return value;
  }

  /** A constant tensor. */
  constant(tensor: OnnxTensor): Value {
    const name = `c${this.#initializers.size}`;
    this.#initializers.set(name, tensor);
    return { name, dtype: tensor.dtype, shape: tensor.shape };
  }
}

/** An integer attribute. */
export function int(value: number): OnnxAttribute {
  return { type: 'int', value };
}
/** An integer list attribute. */
export function ints(value: readonly number[]): OnnxAttribute {
  return { type: 'ints', value };
}
/** A float attribute, which files hold as float32. */
export function float(value: number): OnnxAttribute {
  return { type: 'float', value: Math.fround(value) };
}
