import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import { dtypeCode } from '../../../soap/onnx/element-types.ts';
import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import type { BoundValue } from '../binding.ts';
import { matchMemory } from '../binding.ts';
import type { BoundKernel, Kernel, KernelEngine, TensorMemory } from '../kernels.ts';
import { KernelError } from '../kernels.ts';
import { allocateShared } from '../memory.ts';
import type { OrtLibrary, Pointer } from './library.ts';
import { loadOrtLibrary } from './library.ts';

const LOG_ERRORS_ONLY = 3;
const [ARENA_ALLOCATOR, DEFAULT_MEMORY] = [1, 0];

export interface OnnxRuntimeOptions {
  /** Threads that one kernel uses. */
  readonly threads: number;
}

/** Kernels by ONNX Runtime's CPU provider. A run leaves the JavaScript thread free. */
export function createOnnxRuntimeEngine({ threads }: OnnxRuntimeOptions): KernelEngine {
  const library = loadOrtLibrary();
  const env = library.create('CreateEnv', LOG_ERRORS_ONLY, 'soapstone');
  const cpu = library.create('CreateCpuMemoryInfo', ARENA_ALLOCATOR, DEFAULT_MEMORY);
  const options = sessionOptions(library, threads);
  const kernels = new Set<SessionKernel>();
  return {
    name: 'ONNX Runtime',
    allocate: allocateShared,
    compile(graph) {
      const kernel = new SessionKernel(library, graph, createSession(library, env, options, graph), cpu, () =>
        kernels.delete(kernel),
      );
      kernels.add(kernel);
      return kernel;
    },
    close() {
      for (const kernel of kernels) kernel.release();
      library.release('ReleaseSessionOptions', options);
      library.release('ReleaseMemoryInfo', cpu);
      library.release('ReleaseEnv', env);
    },
  };
}

function sessionOptions(library: OrtLibrary, threads: number): Pointer {
  const options = library.create('CreateSessionOptions');
  library.call('SetIntraOpNumThreads', options, threads);
  library.call('SetSessionLogSeverityLevel', options, LOG_ERRORS_ONLY);
  // A device also waits for the network; threads that spin would take the core from its peers.
  library.call('AddSessionConfigEntry', options, 'session.intra_op.allow_spinning', '0');
  return options;
}

function createSession(library: OrtLibrary, env: Pointer, options: Pointer, graph: OnnxGraph): Pointer {
  const bytes = encodeOnnx(graph);
  try {
    return library.create('CreateSessionFromArray', env, bytes, bytes.length, options);
  } catch (error) {
    const types = [...new Set(graph.nodes.map(({ opType }) => opType))].join(', ');
    const reason = error instanceof Error ? error.message : String(error);
    throw new KernelError(`kernel '${graph.name}' (${types}) is refused: ${reason}`, { cause: error });
  }
}

class SessionKernel implements Kernel {
  readonly #library: OrtLibrary;
  readonly #graph: OnnxGraph;
  readonly #cpu: Pointer;
  readonly #onRelease: () => void;
  readonly #bindings = new Set<SessionBinding>();
  #session: Pointer;

  constructor(library: OrtLibrary, graph: OnnxGraph, session: Pointer, cpu: Pointer, onRelease: () => void) {
    this.#library = library;
    this.#graph = graph;
    this.#session = session;
    this.#cpu = cpu;
    this.#onRelease = onRelease;
  }

  bind(tensors: Readonly<Record<string, TensorMemory>>): BoundKernel {
    if (this.#session === 0n) throw new KernelError(`kernel '${this.#graph.name}' is released`);
    const values = matchMemory(this.#graph, tensors);
    const binding = new SessionBinding(this.#library, this.#session, this.#cpu, values, () =>
      this.#bindings.delete(binding),
    );
    this.#bindings.add(binding);
    return binding;
  }

  release(): void {
    if (this.#session === 0n) return;
    for (const binding of this.#bindings) binding.release();
    this.#library.release('ReleaseSession', this.#session);
    this.#session = 0n;
    this.#onRelease();
  }
}

class SessionBinding implements BoundKernel {
  readonly #library: OrtLibrary;
  readonly #session: Pointer;
  readonly #onRelease: () => void;
  /** The library does not hold the memory of tensors; this does, as long as the binding lives. */
  readonly #held: readonly BoundValue[];
  readonly #values: Pointer[] = [];
  #binding: Pointer;

  constructor(
    library: OrtLibrary,
    session: Pointer,
    cpu: Pointer,
    { inputs, outputs }: { readonly inputs: readonly BoundValue[]; readonly outputs: readonly BoundValue[] },
    onRelease: () => void,
  ) {
    this.#library = library;
    this.#session = session;
    this.#onRelease = onRelease;
    this.#held = [...inputs, ...outputs];
    this.#binding = library.create('CreateIoBinding', session);
    for (const input of inputs) library.call('BindInput', this.#binding, input.name, this.#value(cpu, input));
    for (const output of outputs) library.call('BindOutput', this.#binding, output.name, this.#value(cpu, output));
  }

  run(): Promise<void> {
    if (this.#binding === 0n) throw new KernelError(`a kernel ran after its release (${this.#held[0]?.name})`);
    return this.#library.run(this.#session, this.#binding);
  }

  release(): void {
    if (this.#binding === 0n) return;
    this.#library.release('ReleaseIoBinding', this.#binding);
    for (const value of this.#values) this.#library.release('ReleaseValue', value);
    this.#binding = 0n;
    this.#onRelease();
  }

  #value(cpu: Pointer, { memory, dtype, shape }: BoundValue): Pointer {
    const extents = BigInt64Array.from(shape, BigInt);
    const size = memory.byteLength;
    const type = dtypeCode(dtype);
    const value = this.#library.create(
      'CreateTensorWithDataAsOrtValue',
      cpu,
      memory,
      size,
      extents,
      shape.length,
      type,
    );
    this.#values.push(value);
    return value;
  }
}
