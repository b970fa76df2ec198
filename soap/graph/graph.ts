/** The operator graph G of the paper: operators and the tensors between them, all shapes static. */

/** Extents of a tensor's dimensions, outermost first; row-major. */
export type Shape = readonly number[];

/** float32 carries values, int64 carries class and token indices. */
export type DType = 'float32' | 'int64';

/**
 * `input` is fed from the data set (dimension 0 counts samples), `parameter` is trained unless it is frozen, `activation` is computed by an
 * op.
 */
export type TensorRole = 'input' | 'parameter' | 'activation';

/** A value of the graph. `id` is its index in {@link Graph.tensors}. */
export interface Tensor {
  readonly id: number;
  readonly name: string;
  readonly shape: Shape;
  readonly dtype: DType;
  readonly role: TensorRole;
  /** Of a parameter, whether it keeps its values: no gradient, optimizer state or update of it; absent of those that are trained. */
  readonly frozen?: true;
}

/** A tensor's role in a word that two tensors share only if they are also trained alike. */
export function roleText({ role, frozen }: Pick<Tensor, 'role' | 'frozen'>): string {
  return frozen === true ? 'frozen' : role;
}

/** Whether training changes a tensor's values. */
export function isTrained({ role, frozen }: Pick<Tensor, 'role' | 'frozen'>): boolean {
  return role === 'parameter' && frozen !== true;
}

/** Attribute values of an op; each op file defines and reads its own. */
export type Attributes = Readonly<Record<string, number | string | boolean | readonly number[]>>;

/** An operator. `id` is its index in {@link Graph.ops}. */
export interface Op {
  readonly id: number;
  /** Unique within the graph; what plans and messages call it. */
  readonly name: string;
  /** Key into the op table of soap/ops. */
  readonly kind: string;
  readonly attributes: Attributes;
  /** Tensor ids of data inputs and parameters, in the order the op file defines. */
  readonly inputs: readonly number[];
  readonly outputs: readonly number[];
}

/** A graph. `ops` are in topological order, each activation has exactly one producer. */
export interface Graph {
  readonly name: string;
  readonly tensors: readonly Tensor[];
  readonly ops: readonly Op[];
  /** Tensor ids fed from the data set. */
  readonly inputs: readonly number[];
  /** Tensor ids of the model's results. */
  readonly outputs: readonly number[];
}

/** A graph with the initial values of its parameters, by tensor name, row-major float32. */
export interface Model {
  readonly graph: Graph;
  readonly weights: ReadonlyMap<string, Float32Array>;
  /** Of batch normalizations, by op name; undefined where nothing is known of them. */
  readonly moments?: ReadonlyMap<string, Moments>;
}

/** The running mean and variance of each channel, by which a batch normalization infers. */
export interface Moments {
  readonly mean: Float32Array;
  readonly variance: Float32Array;
}
