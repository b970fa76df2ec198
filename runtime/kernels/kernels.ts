import type { OnnxDType, OnnxGraph } from '../../soap/onnx/model.ts';

/**
 * Port: compiles ONNX graphs with static shapes and runs them. Implementations: ONNX Runtime (engine), and the plain
 * TypeScript interpreter (reference). `test/kernels/contract.ts` is the suite that both pass.
 */
export interface KernelEngine {
  readonly name: string;
  /** Memory for tensors that kernels read and write. Zeroed. */
  allocate(dtype: OnnxDType, elements: number): TensorMemory;
  /** @throws {KernelError} naming the node the engine cannot run. */
  compile(graph: OnnxGraph): Kernel;
  /** Releases everything the engine made. */
  close(): void;
}

/** Element memory outside the JavaScript heap, of an explicit buffer that never moves. */
export type TensorMemory = Float32Array | Float64Array | BigInt64Array | Int32Array | Uint8Array;

/** A compiled graph. */
export interface Kernel {
  /**
   * Fixes the memory of every graph input and output, by name. Lengths must match the graph's static shapes.
   * Memory may be rewritten between runs; a binding runs once at a time.
   */
  bind(tensors: Readonly<Record<string, TensorMemory>>): BoundKernel;
  release(): void;
}

/** A kernel with its memory. */
export interface BoundKernel {
  /** Reads the bound inputs, writes the bound outputs; off the JavaScript thread where the engine can. */
  run(): Promise<void>;
  /**
   * The same on this thread, which it blocks: what a kernel takes without the way to another thread and back. For measuring; absent
   * where the engine cannot.
   */
  runHere?(): void;
  release(): void;
}

/** A graph that the engine refuses, or a run that failed. */
export class KernelError extends Error {
  override readonly name = 'KernelError';
}
