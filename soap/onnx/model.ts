/**
 * An ONNX graph as plain data: what a file decodes to, what an op emits as its kernels, what a kernel engine compiles.
 *
 * Source: the ONNX IR specification, https://github.com/onnx/onnx/blob/main/docs/IR.md
 */

/** Element types the project handles; the names are those of typed arrays and of NumPy. */
export type OnnxDType = 'float32' | 'float64' | 'int64' | 'int32' | 'uint8' | 'bool';

/** Element storage: float32, float64, int64, int32, and one byte per uint8 or bool element. */
export type OnnxData = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** A constant tensor, row-major. */
export interface OnnxTensor {
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  readonly data: OnnxData;
}

/** A graph input or output. A string in the shape is a symbolic dimension, such as the batch. */
export interface OnnxValue {
  readonly name: string;
  readonly dtype: OnnxDType;
  readonly shape: readonly (number | string)[];
}

/** A node attribute with its wire type, since ONNX tells 1 from 1.0. */
export type OnnxAttribute =
  | { readonly type: 'int'; readonly value: number }
  | { readonly type: 'float'; readonly value: number }
  | { readonly type: 'string'; readonly value: string }
  | { readonly type: 'ints'; readonly value: readonly number[] }
  | { readonly type: 'floats'; readonly value: readonly number[] }
  | { readonly type: 'strings'; readonly value: readonly string[] }
  | { readonly type: 'tensor'; readonly value: OnnxTensor }
  /** What a Scan repeats. It may read values of the graph around it; files with such nodes are not read. */
  | { readonly type: 'graph'; readonly value: OnnxGraph };

/** One operator application. An empty input name is an omitted optional input. */
export interface OnnxNode {
  readonly name: string;
  readonly opType: string;
  /** '' is the standard domain; the engine also has 'com.microsoft'. */
  readonly domain: string;
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** A whole model. Nodes are in topological order. Inputs exclude initializers. */
export interface OnnxGraph {
  readonly name: string;
  /** Version of the standard operator set the nodes are written in. */
  readonly opset: number;
  readonly inputs: readonly OnnxValue[];
  readonly outputs: readonly OnnxValue[];
  readonly initializers: ReadonlyMap<string, OnnxTensor>;
  /** Names of initializers and constants that the file says to be no parameters; absent where it says nothing of the kind. */
  readonly buffers?: ReadonlySet<string>;
  /** Values between nodes whose type and shape are known; an engine may need them to write a node in another form. */
  readonly inner?: readonly OnnxValue[];
  readonly nodes: readonly OnnxNode[];
}
