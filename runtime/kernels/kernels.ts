import type { OnnxDType, OnnxGraph } from '../../soap/onnx/model.ts';
import type { Addition } from './addition.ts';

/**
 * Port: compiles ONNX graphs with static shapes and runs them. Implementations: ONNX Runtime on the CPU (onnxruntime), ONNX Runtime with
 * buffers on a device such as a GPU (device), and the plain TypeScript interpreter (reference). `test/kernels/contract.ts` is the suite
 * that all pass.
 */
export interface KernelEngine {
  readonly name: string;
  /** Runs that may go on at once, each on a core of its own. One where left out. */
  readonly concurrency?: number;
  /** A buffer for a tensor that kernels read and write. Zeroed. */
  allocate(dtype: OnnxDType, elements: number): TensorBuffer;
  /** The first bytes of a buffer as one of so many elements of a type, over the same memory; no more than there are. */
  view(buffer: TensorBuffer, dtype: OnnxDType, elements: number): TensorBuffer;
  /** The elements from `start` to `end` of a buffer as one of its own, over the same memory. Absent where buffers are not to be cut. */
  readonly cut?: (buffer: TensorBuffer, start: number, end: number) => TensorBuffer;
  /** Memory of the caller's as a buffer. Absent where kernels do not compute in the host's memory. */
  readonly adopt?: (memory: TensorMemory, dtype: OnnxDType) => TensorBuffer;
  /** Additions of host memory, faster than in JavaScript. Absent where the engine has none. */
  readonly add?: Addition;
  /** Gives kernels what {@link TensorBuffer.host} of the buffers holds. Costs nothing where that is the buffer itself. */
  upload(buffers: readonly TensorBuffer[]): Promise<void>;
  /** Brings what kernels wrote to {@link TensorBuffer.host} of the buffers; waits for runs that have begun. */
  download(buffers: readonly TensorBuffer[]): Promise<void>;
  /** @throws {KernelError} naming the node the engine cannot run. */
  compile(graph: OnnxGraph): Kernel;
  /** Releases all kernels; runs that have begun end first. A buffer goes when nothing refers to it any more. */
  close(): void;
}

/** The elements of a tensor, where the engine that allocated it computes. */
export interface TensorBuffer {
  readonly dtype: OnnxDType;
  /** Elements. */
  readonly length: number;
  /**
   * The elements as JavaScript sees them. Of an engine that computes on the host it is the buffer itself; of another it is
   * a copy beside it, made when first asked for, that only {@link KernelEngine.download} and {@link KernelEngine.upload} keep equal.
   */
  readonly host: TensorMemory;
}

/** Element memory outside the JavaScript heap, of an explicit buffer that never moves. */
export type TensorMemory = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** A compiled graph. */
export interface Kernel {
  /**
   * Fixes the buffer of every graph input and output, by name. Lengths must match the graph's static shapes.
   * Buffers may be written between runs; a binding runs once at a time.
   */
  bind(buffers: Readonly<Record<string, TensorBuffer>>): BoundKernel;
  release(): void;
}

/** A kernel with its buffers. */
export interface BoundKernel {
  /** Reads the bound inputs, writes the bound outputs; off the JavaScript thread where the engine can. */
  run(): Promise<void>;
  /**
   * The same on this thread, which it blocks: what a kernel takes without the way to another thread and back. For measuring, and for
   * short kernels; absent where the engine cannot.
   */
  runHere?(): void;
  release(): void;
}

/** A graph that the engine refuses, or a run that failed. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
}
