import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import type { BoundValue } from '../binding.ts';
import { matchBuffers, requireStaticShapes } from '../binding.ts';
import { HOST_BUFFERS } from '../host-memory.ts';
import type { BoundKernel, Kernel, KernelEngine, TensorBuffer } from '../kernels.ts';
import { KernelError } from '../kernels.ts';
import type { Program } from './program.ts';
import { compileProgram, runProgram } from './program.ts';
import { readMemory, writeMemory } from './tensor.ts';

/**
 * Kernels by a plain interpreter on the JavaScript thread: slow, obvious, with sums in float64. It is what other engines are
 * compared with, and it runs where there is no native library.
 */
export function createReferenceEngine(): KernelEngine {
  return {
    name: 'reference',
    ...HOST_BUFFERS,
    compile(graph) {
      requireStaticShapes(graph);
      return new ReferenceKernel(
        graph,
        named(graph, () => compileProgram(graph)),
      );
    },
    close() {},
  };
}

class ReferenceKernel implements Kernel {
  readonly #graph: OnnxGraph;
  readonly #program: Program;
  #released = false;

  constructor(graph: OnnxGraph, program: Program) {
    this.#graph = graph;
    this.#program = program;
  }

  bind(buffers: Readonly<Record<string, TensorBuffer>>): BoundKernel {
    this.#requireHeld();
    const { inputs, outputs } = matchBuffers(this.#graph, buffers);
    let released = false;
    return {
      run: async () => {
        this.#requireHeld();
        if (released) throw new KernelError(`kernel '${this.#graph.name}': the binding is released`);
        this.#run(inputs, outputs);
      },
      release: () => {
        released = true;
      },
    };
  }

  release(): void {
    this.#released = true;
  }

  #requireHeld(): void {
    if (this.#released) throw new KernelError(`kernel '${this.#graph.name}' is released`);
  }

  #run(inputs: readonly BoundValue[], outputs: readonly BoundValue[]): void {
    named(this.#graph, () => {
      const values = runProgram(
        this.#program,
        inputs.map(({ name, dtype, shape, buffer }) => [name, readMemory(dtype, shape, buffer.host)]),
      );
      for (const { name, dtype, shape, buffer } of outputs) {
        const value = values.get(name);
        if (value?.dtype !== dtype || value.shape.join() !== shape.join()) {
          throw new KernelError(`output '${name}' is ${value?.dtype} [${value?.shape}]; expected ${dtype} [${shape}]`);
        }
        writeMemory(value, buffer.host);
      }
    });
  }
}

/** Puts the graph's name before the message of an error. */
function named<T>({ name }: OnnxGraph, action: () => T): T {
  try {
    return action();
  } catch (error) {
    if (!(error instanceof KernelError)) throw error;
    throw new KernelError(`kernel '${name}': ${error.message}`, { cause: error });
  }
}
