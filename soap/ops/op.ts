import type { Attributes, DType, Graph, Op, Shape } from '../graph/graph.ts';
import type { OnnxDType, OnnxNode, OnnxTensor } from '../onnx/model.ts';
import type { Interval, Region } from '../region/region.ts';
import type { Emitter } from './emitter.ts';

/**
 * What splitting a dimension of an op means (paper, section 4): `sample` splits the batch, `parameter` splits the op's
 * parameters with it, `attribute` is any other dimension of the output. Beyond the paper, `reduction` splits what the op
 * sums over.
 */
export type DimensionKind = 'sample' | 'attribute' | 'parameter' | 'reduction';

/** A dimension along which an op can be split. */
export interface Dimension {
  /** The field's word for it: sample, channel, height, width ... Unique within the op. */
  readonly name: string;
  readonly kind: DimensionKind;
  /** What its degree must divide: the extent of the axis, or how many units (groups, heads) the axis consists of. */
  readonly size: number;
  /**
   * Axis of the op's first output. Undefined where the dimension is summed over (the width of a matrix product, the
   * vocabulary of an embedding): parts that differ in it alone hold partial sums of one box, and readers add them up.
   */
  readonly axis: number | undefined;
}

/** An op with the shapes of its whole inputs and outputs. */
export interface OpSignature {
  readonly attributes: Attributes;
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
}

/** One part of a split op: the boxes of the outputs it computes and the boxes of its inputs it reads. */
export interface Part {
  readonly signature: OpSignature;
  /** Which interval of each dimension it has, aligned with the op's dimensions. */
  readonly ranges: readonly Interval[];
  /** Box of the first output, whole or a partial sum. */
  readonly output: Region;
  /** Boxes of all outputs, the first among them. */
  readonly outputs: readonly Region[];
  /** Undefined where it does not read the input, such as the bias in all but the first of several partial sums. */
  readonly inputs: readonly (Region | undefined)[];
}

/** Which axes of an op's whole inputs and outputs grow with the samples; undefined where none does. */
export interface SampleAxes {
  readonly inputs: readonly (number | undefined)[];
  readonly outputs: readonly (number | undefined)[];
  /** Samples that the shapes are of: extents of those axes are multiples of it. */
  readonly batch: number;
}

/**
 * Statistics that the parts of a split op tell each other before they go on: batch statistics, the normalizer of a softmax.
 * Parts that differ only in the dimensions `over` form a group. Each writes a vector of so many floats; all get the
 * vectors of the whole group, [parts, floats] in the order of the parts, and combine them alike. A group of one part
 * computes both steps in one kernel.
 */
export interface Statistics {
  /** Names of the dimensions. */
  readonly over: readonly string[];
  /** Floats that a part writes in the forward pass; 0 for no exchange. */
  forwardSize(part: Part): number;
  /** The same of the backward pass. */
  backwardSize(part: Part): number;
  /** Emits nodes from `emit.input(i)` to `emit.setStatistics(...)`, a vector. */
  forward(emit: Emitter, part: Part): void;
  /** Emits nodes from what `backward` of the op may read to `emit.setStatistics(...)`. */
  backward(emit: Emitter, part: Part): void;
}

/** What an op file may ask about the ONNX node it imports. Positions are those of the node's inputs. */
export interface ImportContext {
  /** The value of an input that is a constant after folding, or undefined. */
  constant(input: number): OnnxTensor | undefined;
  /** The value of an input that is one number and is not trained, or undefined. */
  scalar(input: number): number | undefined;
  /** The shape of an input. */
  shape(input: number): Shape;
  /** The same as the file has it, where its batch is fixed and another than the job's, and as far as it is known. */
  fileShape(input: number): Shape | undefined;
  /** The element type of an input. */
  dtype(input: number): OnnxDType;
  /** Whether an input is computed from the data, and neither a constant nor a parameter. */
  computed(input: number): boolean;
  /** Whether an input is a weight of the file, or another name of one. */
  trained(input: number): boolean;
  /** The node that makes an input, with what is known of its inputs; undefined for inputs and weights of the file. */
  maker(input: number): Made | undefined;
  /** Whether there is a value of this name already: of the file, or of what nodes before this one are written as. */
  isKnown(name: string): boolean;
  /** Whether anything reads a result of the node, by its position. */
  isRead(output: number): boolean;
  /** Version of the standard operator set of the file. */
  readonly opset: number;
  /** Samples per step: of the file, undefined where it leaves them open, and of the job. */
  readonly batch: { readonly file: number | undefined; readonly job: number };
}

/** A node that has made a value. */
export interface Made {
  readonly node: OnnxNode;
  readonly context: ImportContext;
}

/** How an ONNX node becomes an op. */
export interface ImportedOp {
  /** The kind of op, where it is not the one that reads the node. */
  readonly kind?: string;
  readonly attributes: Attributes;
  /** Which of the node's inputs the op reads, in the op's order. */
  readonly inputs: readonly number[];
}

/**
 * All that is known of one kind of op. To add an op is to add one file that exports one of these, and to list it in
 * `index.ts`.
 */
export interface OpDefinition {
  readonly kind: string;
  /** The ONNX operator types that `fromOnnx` reads. */
  readonly onnxTypes: readonly string[];
  /** @throws {OpError} for a variant of the node that the op does not cover. */
  fromOnnx(node: OnnxNode, context: ImportContext): ImportedOp;
  /**
   * Inputs that are trained even where a file has them as constants without a name of a weight, as files that were not written by
   * PyTorch may, but for those that it calls buffers; none where left out. Constants that other inputs are, such as masks, positions,
   * or what stands in the place of a normalization's scale, are values.
   */
  readonly weightInputs?: readonly number[];
  /** Shapes of the outputs. @throws {OpError} where the inputs do not fit. */
  outputShapes(inputs: readonly Shape[], attributes: Attributes): readonly Shape[];
  /** Element types of the outputs; float32 where left out. */
  outputDtypes?(inputs: readonly DType[], attributes: Attributes): readonly DType[];
  /**
   * Inputs that may be int64: tokens, targets, or 'all' where the op does the same with whole numbers; none where left out. Of a file's
   * nodes others are cast to float32, and their results back.
   */
  readonly integerInputs?: 'all' | readonly number[];
  dimensions(signature: OpSignature): readonly Dimension[];
  /** The box of an input that a part needs, given its box of the first output and its intervals of the dimensions. */
  inputRegion(signature: OpSignature, output: Region, input: number, ranges: readonly Interval[]): Region | undefined;
  /** The box of a later output that goes with a box of the first; the same box where left out. */
  outputRegion?(signature: OpSignature, output: Region, index: number): Region;
  /** Floating point operations of the forward pass of a part; a multiply-add counts two. */
  forwardFlops(part: Part): number;
  /** The same of the backward pass: gradients of every input. */
  backwardFlops(part: Part): number;
  /** Of those, what the gradient of an input takes that may be a weight, and is saved where that is frozen; nothing where left out. */
  weightGradientFlops?(part: Part, input: number): number;
  /** Emits nodes from `emit.input(i)` to `emit.setOutput(i, ...)`, and `emit.save` for what only the backward pass needs. */
  forward(emit: Emitter, part: Part): void;
  /**
   * Emits nodes from `emit.gradOutput(i)` and saved values to `emit.setGradInput(i, ...)` for each `emit.wantsGradInput(i)`.
   * Every output has a gradient, zeros where nothing reads it.
   */
  backward(emit: Emitter, part: Part): void;
  /**
   * Emits outputs in inference, where that goes by values that training keeps up and not by those of the batch: nodes from
   * `emit.input(i)` and `emit.saved(i)`, which then are those values, in the shapes that `forward` saves.
   */
  readonly inference?: (emit: Emitter, part: Part) => void;
  /**
   * Emits the op for an ONNX file: nodes of the standard domain, that do not depend on the batch, and that import as the
   * same op; of one that drops elements, what it is in inference. `forward` where left out.
   */
  readonly toOnnx?: (emit: Emitter, part: Part, samples: SampleAxes) => void;
  /**
   * Of an op that drops elements of its first output at random in training, the share of them, in [0, 1). Its kernels read from
   * `emit.mask()` which it keeps: that is a function of where an element is in the whole tensor, not of how the op is split.
   */
  readonly droppedShare?: (attributes: Attributes) => number;
  /** Where parts must agree on something; `forward` and `backward` then read it from `emit.gathered()`. */
  readonly statistics?: Statistics;
}

/** An op that cannot be built: a sentence with what, got and expected. */
export class OpError extends Error {
  override readonly name = 'OpError';
}

/** The shapes around an op of a graph. */
export function opSignature(graph: Graph, op: Op): OpSignature {
  return {
    attributes: op.attributes,
    inputs: op.inputs.map((id) => graph.tensors[id]!.shape),
    outputs: op.outputs.map((id) => graph.tensors[id]!.shape),
  };
}

/** A number attribute that the op file itself has set. */
export function numberAttribute(attributes: Attributes, name: string): number {
  const value = attributes[name];
  if (typeof value !== 'number')
    throw new OpError(`internal: attribute '${name}' is ${String(value)}, expected a number`);
  return value;
}

/** A list attribute that the op file itself has set. */
export function numbersAttribute(attributes: Attributes, name: string): readonly number[] {
  const value = attributes[name];
  if (!Array.isArray(value)) throw new OpError(`internal: attribute '${name}' is ${String(value)}, expected numbers`);
  return value;
}

/** The element type of the first input: outputs of ops that only move elements. */
export function sameDtype(inputs: readonly DType[]): readonly DType[] {
  return [inputs[0] ?? 'float32'];
}

/** The elements of a constant as numbers: axes, shapes, indices. */
export function integerList({ data }: OnnxTensor): number[] {
  return Array.from<number | bigint, number>(data, Number);
}
