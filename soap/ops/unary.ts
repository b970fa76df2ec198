import type { Attributes } from '../graph/graph.ts';
import type { OnnxNode } from '../onnx/model.ts';
import type { Arithmetic } from './arithmetic.ts';
import { arithmetic } from './arithmetic.ts';
import { elementwiseDimensions, elementwiseFlops, sameInputRegion, sameOutputShape } from './elementwise.ts';
import type { Emitter, Value } from './emitter.ts';
import type { ImportContext, OpDefinition } from './op.ts';

/** What an elementwise op of one operand computes with. */
export interface UnaryScope {
  readonly emit: Emitter;
  readonly math: Arithmetic;
  readonly attributes: Attributes;
}

/** What tells one elementwise op of one operand from another. */
export interface UnaryOp {
  readonly kind: string;
  /** None where the op is only recognized among others. */
  readonly onnxTypes: readonly string[];
  /** Operations per element, forward and backward. */
  readonly flops: readonly [forward: number, backward: number];
  /** Attributes of the op; none where left out. @throws {OpError} for variants that are not covered */
  readonly attributes?: (node: OnnxNode, context: ImportContext) => Attributes;
  readonly forward: (scope: UnaryScope, x: Value) => Value;
  /** The gradient dx, of x and y, each read only if called. */
  readonly gradient: (scope: UnaryScope, dy: Value, x: () => Value, y: () => Value) => Value;
}

/** An elementwise op of one operand. */
export function unaryOp({ kind, onnxTypes, flops, attributes, forward, gradient }: UnaryOp): OpDefinition {
  return {
    kind,
    onnxTypes,
    fromOnnx: (node, context) => ({ attributes: attributes?.(node, context) ?? {}, inputs: [0] }),
    outputShapes: sameOutputShape,
    dimensions: elementwiseDimensions,
    inputRegion: sameInputRegion,
    forwardFlops: elementwiseFlops(flops[0]),
    backwardFlops: elementwiseFlops(flops[1]),
    forward(emit, { signature }) {
      const scope = { emit, math: arithmetic(emit), attributes: signature.attributes };
      emit.setOutput(0, forward(scope, emit.input(0)));
    },
    backward(emit, { signature }) {
      const scope = { emit, math: arithmetic(emit), attributes: signature.attributes };
      const [x, y] = [() => emit.input(0), () => emit.output(0)];
      emit.setGradInput(0, gradient(scope, emit.gradOutput(0), x, y));
    },
  };
}

/** A float attribute of a node. */
export function floatAttribute(node: OnnxNode, name: string, otherwise: number): number {
  const attribute = node.attributes[name];
  return attribute?.type === 'float' ? attribute.value : otherwise;
}

/** A whole number attribute of a node. */
export function intAttribute(node: OnnxNode, name: string, otherwise: number): number {
  const attribute = node.attributes[name];
  return attribute?.type === 'int' ? attribute.value : otherwise;
}
