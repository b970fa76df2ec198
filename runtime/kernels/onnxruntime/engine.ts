import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import type { OnnxGraph } from '../../../soap/onnx/model.ts';
import type { BoundValue } from '../binding.ts';
import { matchBuffers, requireStaticShapes } from '../binding.ts';
import { HOST_BUFFERS } from '../host-memory.ts';
import type { BoundKernel, Kernel, KernelEngine, TensorBuffer } from '../kernels.ts';
import { KernelError } from '../kernels.ts';
import { additionGraph, createAddition } from './addition.ts';
import { useBlockProducts } from './block-products.ts';
import { channelBlock } from './channel-block.ts';
import { useChannelBlocks } from './channel-blocks.ts';
import { useChannelwiseConvolutions } from './affine-maps.ts';
import { useCommonNodes } from './common-nodes.ts';
import { useDepthwiseBlocks } from './depthwise-blocks.ts';
import type { ThreadPool } from './environment.ts';
import { createEnvironment, createValue, shareArena, sharingOptions } from './environment.ts';
import { useShapesOfSources } from './result-shapes.ts';
import { useMomentBlocks } from './moment-blocks.ts';
import { useRowBlocks } from './row-blocks.ts';
import { useScatterBlocks } from './scatter-blocks.ts';
import { refusal } from './refusal.ts';
import { Held } from './held.ts';
import type { OrtLibrary, Pointer } from './library.ts';
import { loadOrtLibrary } from './library.ts';

/** Runs are on the threads of libuv. Source: its default UV_THREADPOOL_SIZE. */
const MAX_RUNS = 4;
const [ARENA_ALLOCATOR, DEFAULT_MEMORY] = [1, 0];

/**
 * Kernels by ONNX Runtime's CPU provider. A run leaves the JavaScript thread free. Whatever is released while it runs goes
 * when the run ends.
 * @throws {KernelError} where the library is absent
 */
export function createOnnxRuntimeEngine(pool: ThreadPool): KernelEngine {
  const library = loadOrtLibrary();
  const env = createEnvironment(library, pool);
  const cpu = library.create('CreateCpuMemoryInfo', ARENA_ALLOCATOR, DEFAULT_MEMORY);
  const releaseArena = shareArena(library, env, cpu);
  const options = sharingOptions(library);
  const block = channelBlock((graph) => createSession(library, env, options, graph), { library, cpu });
  const addition = createSession(library, env, options, additionGraph());
  const kernels = new Set<SessionKernel>();
  const engine = new Held('the ONNX Runtime engine', env, () => {
    library.release('ReleaseSession', addition);
    library.release('ReleaseSessionOptions', options);
    releaseArena();
    library.release('ReleaseMemoryInfo', cpu);
    library.release('ReleaseEnv', env);
  });
  return {
    name: 'ONNX Runtime CPU',
    concurrency: Math.min(pool.threads, MAX_RUNS),
    ...HOST_BUFFERS,
    add: createAddition(library, cpu, addition),
    compile(graph) {
      requireStaticShapes(graph);
      const common = useCommonNodes(useShapesOfSources(graph));
      const convolutions = useChannelBlocks(useDepthwiseBlocks(useChannelwiseConvolutions(common), block), block);
      const products = useBlockProducts(convolutions, block);
      const form = useMomentBlocks(useScatterBlocks(useRowBlocks(products, pool.threads)), pool.threads);
      const pointer = createSession(library, engine.pointer, options, graph, form);
      const letGo = engine.use();
      const session = new Held(`kernel '${graph.name}'`, pointer, () => {
        library.release('ReleaseSession', pointer);
        letGo();
      });
      const kernel = new SessionKernel({ library, graph: form, session, cpu, onRelease: () => kernels.delete(kernel) });
      kernels.add(kernel);
      return kernel;
    },
    close() {
      for (const kernel of kernels) kernel.release();
      engine.release();
    },
  };
}

/**
 * Nodes are handed over from the last to the first. The library orders them anew, by a walk from the nodes that nothing reads back to what
 * they read, each time taking the node with the highest number first. As they come, that runs what only reads the inputs of the graph at
 * the very beginning, such as the slopes of all Relus, and weight gradients at the end, when all gradients they read have been kept until then.
 * Reversed, a node runs just before the first one that reads it. Source: GraphViewer and Graph::ReverseDFSFrom in onnxruntime/core/graph.
 * @param form what runs in place of the graph
 */
function createSession(
  library: OrtLibrary,
  env: Pointer,
  options: Pointer,
  graph: OnnxGraph,
  form: OnnxGraph = graph,
): Pointer {
  const bytes = encodeOnnx({ ...form, nodes: form.nodes.toReversed() });
  try {
    return library.create('CreateSessionFromArray', env, bytes, bytes.length, options);
  } catch (error) {
    throw refusal(graph, error);
  }
}

interface SessionKernelParts {
  readonly library: OrtLibrary;
  /** As it runs: its results may have other axes than was asked for, of the same elements. */
  readonly graph: OnnxGraph;
  readonly session: Held;
  /** The memory information of the CPU. */
  readonly cpu: Pointer;
  readonly onRelease: () => void;
}

class SessionKernel implements Kernel {
  readonly #parts: SessionKernelParts;
  readonly #bindings = new Set<SessionBinding>();

  constructor(parts: SessionKernelParts) {
    this.#parts = parts;
  }

  bind(buffers: Readonly<Record<string, TensorBuffer>>): BoundKernel {
    const { graph, session } = this.#parts;
    session.requireOwned();
    const { inputs, outputs } = matchBuffers(graph, buffers);
    const binding = new SessionBinding(this.#parts, inputs, outputs, () => this.#bindings.delete(binding));
    this.#bindings.add(binding);
    return binding;
  }

  release(): void {
    for (const binding of this.#bindings) binding.release();
    this.#parts.session.release();
    this.#parts.onRelease();
  }
}

class SessionBinding implements BoundKernel {
  readonly #library: OrtLibrary;
  readonly #session: Pointer;
  readonly #binding: Held;
  readonly #onRelease: () => void;
  #running = false;

  constructor(
    { library, graph, session, cpu }: SessionKernelParts,
    inputs: readonly BoundValue[],
    outputs: readonly BoundValue[],
    onRelease: () => void,
  ) {
    this.#library = library;
    this.#session = session.pointer;
    this.#onRelease = onRelease;
    const pointer = library.create('CreateIoBinding', this.#session);
    const letGo = session.use();
    const values: Pointer[] = [];
    // The library does not hold the memory of tensors; `held` does, until the binding is gone.
    let held: readonly BoundValue[] = [...inputs, ...outputs];
    this.#binding = new Held(`a binding of kernel '${graph.name}'`, pointer, () => {
      library.release('ReleaseIoBinding', pointer);
      for (const value of values) library.release('ReleaseValue', value);
      held = [];
      letGo();
    });
    try {
      for (const each of held) {
        const value = createValue(library, cpu, { ...each, memory: each.buffer.host });
        values.push(value);
        library.call(inputs.includes(each) ? 'BindInput' : 'BindOutput', pointer, each.name, value);
      }
    } catch (error) {
      this.#binding.release();
      throw error;
    }
  }

  async run(): Promise<void> {
    const pointer = this.#binding.pointer;
    if (this.#running) throw new KernelError('a binding runs once at a time; await its run first');
    const letGo = this.#binding.use();
    this.#running = true;
    try {
      await this.#library.run(this.#session, pointer);
    } finally {
      this.#running = false;
      letGo();
    }
  }

  runHere(): void {
    if (this.#running) throw new KernelError('a binding runs once at a time; await its run first');
    this.#library.runHere(this.#session, this.#binding.pointer);
  }

  release(): void {
    this.#binding.release();
    this.#onRelease();
  }
}
