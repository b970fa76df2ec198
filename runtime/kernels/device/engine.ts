import type { OnnxDType, OnnxGraph } from '../../../soap/onnx/model.ts';
import type { BoundValue } from '../binding.ts';
import { matchBuffers, requireStaticShapes } from '../binding.ts';
import { allocateShared } from '../host-memory.ts';
import type { BoundKernel, Kernel, KernelEngine, TensorBuffer, TensorMemory } from '../kernels.ts';
import { KernelError } from '../kernels.ts';
import { refusal } from '../onnxruntime/refusal.ts';
import { deviceModel } from './device-model.ts';
import type { DeviceValue, Id } from './protocol.ts';
import type { DeviceProviderName } from './providers.ts';
import { DEVICE_PROVIDERS, gpuOf } from './providers.ts';
import type { DeviceThread } from './thread-client.ts';
import { deviceThread } from './thread-client.ts';
import { messageOf } from '../../../soap/message-of.ts';

export interface DeviceEngineOptions {
  /** Which device of this machine, counted from 0: where the provider tells GPUs apart, devices take them in turn. */
  readonly gpu: number;
}

/**
 * Kernels by a provider of ONNX Runtime whose buffers stay on a device: only uploads and downloads cross. No node may run on
 * the CPU instead. A buffer is released when nothing holds it any more.
 * @throws {KernelError} a sentence with the cure, where there is no such device
 */
export function createDeviceEngine(provider: DeviceProviderName, { gpu }: DeviceEngineOptions): KernelEngine {
  const thread = deviceThread(provider, gpuOf(DEVICE_PROVIDERS[provider], gpu));
  thread.askNow({ do: 'open' });
  const kernels = new Set<DeviceKernel>();
  const released = new FinalizationRegistry<Id>((id) => thread.tell({ do: 'release', ids: [id] }));
  return {
    name: `ONNX Runtime ${DEVICE_PROVIDERS[provider].title}`,
    allocate(dtype, elements) {
      const buffer = new DeviceBuffer(thread, dtype, elements);
      released.register(buffer, buffer.id);
      return buffer;
    },
    view(whole, dtype, elements) {
      const buffer = new DeviceBuffer(thread, dtype, elements, ownBuffer(whole));
      released.register(buffer, buffer.id);
      return buffer;
    },
    upload: (buffers) => thread.ask({ do: 'upload', buffers: buffers.map(idOf) }),
    download: (buffers) => thread.ask({ do: 'download', buffers: buffers.map(idOf) }),
    compile(graph) {
      requireStaticShapes(graph);
      const kernel = new DeviceKernel(thread, graph, DEVICE_PROVIDERS[provider].forms, () => kernels.delete(kernel));
      kernels.add(kernel);
      return kernel;
    },
    close() {
      for (const kernel of kernels) kernel.release();
    },
  };
}

class DeviceBuffer implements TensorBuffer {
  readonly dtype: OnnxDType;
  readonly length: number;
  readonly id: Id;
  readonly #thread: DeviceThread;
  /** Held, so that its memory is not released under this one. */
  readonly whole: DeviceBuffer | undefined;
  #host: TensorMemory | undefined;

  constructor(thread: DeviceThread, dtype: OnnxDType, length: number, whole?: DeviceBuffer) {
    this.#thread = thread;
    this.whole = whole;
    this.dtype = dtype;
    this.length = length;
    this.id = thread.newId();
    if (whole === undefined) thread.tell({ do: 'allocate', buffer: this.id, dtype, elements: length });
    else thread.tell({ do: 'view', buffer: this.id, of: whole.id, dtype, elements: length });
  }

  get host(): TensorMemory {
    if (this.#host === undefined) {
      this.#host = allocateShared(this.dtype, this.length);
      this.#thread.tell({ do: 'attach', buffer: this.id, memory: this.#host });
    }
    return this.#host;
  }
}

/** The number of a buffer, whose host's side is there then. */
function idOf(buffer: TensorBuffer): Id {
  const { id } = ownBuffer(buffer);
  void buffer.host;
  return id;
}

function ownBuffer(buffer: TensorBuffer): DeviceBuffer {
  if (buffer instanceof DeviceBuffer) return buffer;
  throw new KernelError('internal: a buffer of another engine; expected one that this engine allocated');
}

type Forms = (graph: OnnxGraph) => OnnxGraph;

class DeviceKernel implements Kernel {
  readonly #thread: DeviceThread;
  readonly #graph: OnnxGraph;
  readonly #id: Id;
  readonly #bindings = new Set<DeviceBinding>();
  readonly #onRelease: () => void;
  #released = false;

  constructor(thread: DeviceThread, graph: OnnxGraph, written: Forms, onRelease: () => void) {
    this.#thread = thread;
    this.#graph = graph;
    this.#onRelease = onRelease;
    this.#id = thread.newId();
    try {
      thread.askNow({ do: 'compile', kernel: this.#id, graph: deviceModel(written(graph)) });
    } catch (error) {
      throw refusal(graph, error);
    }
  }

  bind(buffers: Readonly<Record<string, TensorBuffer>>): BoundKernel {
    if (this.#released) throw new KernelError(`kernel '${this.#graph.name}' is released`);
    const { inputs, outputs } = matchBuffers(this.#graph, buffers);
    const binding = new DeviceBinding(this.#thread, this.#graph, this.#id, inputs, outputs, () =>
      this.#bindings.delete(binding),
    );
    this.#bindings.add(binding);
    return binding;
  }

  release(): void {
    if (this.#released) return;
    this.#released = true;
    for (const binding of this.#bindings) binding.release();
    this.#thread.tell({ do: 'release', ids: [this.#id] });
    this.#onRelease();
  }
}

class DeviceBinding implements BoundKernel {
  readonly #thread: DeviceThread;
  readonly #name: string;
  readonly #id: Id;
  readonly #onRelease: () => void;
  /** Held, so that they are not released under the binding. */
  #values: readonly BoundValue[] | undefined;

  constructor(
    thread: DeviceThread,
    { name }: OnnxGraph,
    kernel: Id,
    inputs: readonly BoundValue[],
    outputs: readonly BoundValue[],
    onRelease: () => void,
  ) {
    this.#thread = thread;
    this.#name = name;
    this.#id = thread.newId();
    this.#onRelease = onRelease;
    this.#values = [...inputs, ...outputs];
    const values = this.#values.map((value, i): DeviceValue => ({
      name: value.name,
      isInput: i < inputs.length,
      buffer: ownBuffer(value.buffer).id,
      shape: value.shape,
    }));
    thread.tell({ do: 'bind', binding: this.#id, kernel, values });
  }

  async run(): Promise<void> {
    if (this.#values === undefined) throw new KernelError(`a binding of kernel '${this.#name}' is released`);
    try {
      await this.#thread.ask({ do: 'run', binding: this.#id });
    } catch (error) {
      const reason = messageOf(error);
      throw new KernelError(`kernel '${this.#name}': ${reason}`, { cause: error });
    }
  }

  release(): void {
    if (this.#values === undefined) return;
    this.#values = undefined;
    this.#thread.tell({ do: 'release', ids: [this.#id] });
    this.#onRelease();
  }
}
