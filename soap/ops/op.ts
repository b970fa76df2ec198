import type { Attributes, Graph, Op, Shape } from '../graph/graph.ts';
import type { OnnxNode, OnnxTensor } from '../onnx/model.ts';
import type { Region } from '../strategy/region.ts';
import type { Emitter } from './emitter.ts';

/**
 * What splitting a dimension of an op's output means (paper, section 4): `sample` splits the batch, `parameter` splits the
 * op's parameters with it, `attribute` is any other.
 */
export type DimensionKind = 'sample' | 'attribute' | 'parameter';

/** A dimension along which an op can be split. */
export interface Dimension {
  /** The field's word for it: sample, channel, height, width ... Unique within the op. */
  readonly name: string;
  readonly kind: DimensionKind;
  readonly size: number;
  /** Axis of the op's first output. */
  readonly axis: number;
}

/** An op with the shapes of its whole inputs and outputs. */
export interface OpSignature {
  readonly attributes: Attributes;
  readonly inputs: readonly Shape[];
  readonly outputs: readonly Shape[];
}

/** One part of a split op: the box of the first output it computes and the boxes of its inputs it reads. */
export interface Part {
  readonly signature: OpSignature;
  readonly output: Region;
  readonly inputs: readonly Region[];
}

/** What an op file may ask about the ONNX node it imports. Positions are those of the node's inputs. */
export interface ImportContext {
  /** The value of an input that is a constant after folding, or undefined. */
  constant(input: number): OnnxTensor | undefined;
  /** The shape of an input. */
  shape(input: number): Shape;
}

/** How an ONNX node becomes an op. */
export interface ImportedOp {
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
  /** Shapes of the outputs. @throws {OpError} where the inputs do not fit. */
  outputShapes(inputs: readonly Shape[], attributes: Attributes): readonly Shape[];
  dimensions(signature: OpSignature): readonly Dimension[];
  /** The box of an input that a box of the first output needs. */
  inputRegion(signature: OpSignature, output: Region, input: number): Region;
  /** Floating point operations of the forward pass of a part; a multiply-add counts two. */
  forwardFlops(part: Part): number;
  /** The same of the backward pass: gradients of every input. */
  backwardFlops(part: Part): number;
  /** Emits nodes from `emit.input(i)` to `emit.setOutput(i, ...)`, and `emit.save` for what only the backward pass needs. */
  forward(emit: Emitter, part: Part): void;
  /** Emits nodes from `emit.gradOutput(i)` and saved values to `emit.setGradInput(i, ...)` for each `emit.wantsGradInput(i)`. */
  backward(emit: Emitter, part: Part): void;
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
