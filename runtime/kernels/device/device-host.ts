import { dtypeCode, ELEMENT_BYTES } from '../../../soap/onnx/element-types.ts';
import { encodeOnnx } from '../../../soap/onnx/encode.ts';
import type { OnnxDType, OnnxGraph } from '../../../soap/onnx/model.ts';
import { KernelError } from '../kernels.ts';
import type { TensorMemory } from '../kernels.ts';
import { createEnvironment, sessionOptions } from '../onnxruntime/environment.ts';
import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';
import { loadOrtLibrary } from '../onnxruntime/library.ts';
import { cpuNodes } from './assignment.ts';
import type { DeviceValue, Id, Request } from './protocol.ts';
import type { DeviceProvider } from './providers.ts';

const [DEVICE_ALLOCATOR, ARENA_ALLOCATOR, DEFAULT_MEMORY] = [0, 1, 0];

/** An entry of the configuration of a session. */
type SessionEntry = readonly [key: string, value: string];
/** No node may run on the CPU instead: its values would be copied there and back unasked. */
const NO_FALLBACK: SessionEntry = ['session.disable_cpu_ep_fallback', '1'];
const RECORD_ASSIGNMENT: SessionEntry = ['session.record_ep_graph_assignment_info', '1'];

/** A tensor on the device, as a flat list. */
interface Buffer {
  /** 0n where there are no elements. */
  readonly value: Pointer;
  /** A handle of the device; it is not an address of this process. */
  readonly data: Pointer;
  readonly dtype: OnnxDType;
  readonly elements: number;
  /** The host's side: a tensor over memory that is held here. */
  host?: { readonly value: Pointer; readonly memory: TensorMemory };
}

interface Binding {
  readonly session: Pointer;
  readonly pointer: Pointer;
  readonly values: readonly Pointer[];
  /** What a run writes beside the buffer that it also reads, and copies there after it. */
  readonly copies: readonly { readonly from: Pointer; readonly to: Pointer }[];
}

/**
 * Buffers and sessions of a device. It must be used by one thread alone: the WebGPU provider takes no two calls at once, from
 * whatever sessions (a crash was seen), so there is one of it in a process.
 */
export class DeviceHost {
  readonly #provider: DeviceProvider;
  readonly #library: OrtLibrary;
  readonly #env: Pointer;
  readonly #cpu: Pointer;
  readonly #memory: Pointer;
  /** A session that keeps the device open: tensors need it. */
  readonly #probe: Pointer;
  /** Of the device; it outlives every tensor that it made. */
  readonly #allocator: Pointer;
  readonly #buffers = new Map<Id, Buffer>();
  readonly #sessions = new Map<Id, Pointer>();
  readonly #bindings = new Map<Id, Binding>();
  /** What could not be made, and why: said by whoever uses it. */
  readonly #failures = new Map<Id, string>();

  /** @throws {KernelError} a sentence with the cure, where there is no such device */
  constructor(provider: DeviceProvider) {
    const library = loadOrtLibrary();
    this.#provider = provider;
    this.#library = library;
    this.#env = createEnvironment(library, 1);
    this.#cpu = library.create('CreateCpuMemoryInfo', ARENA_ALLOCATOR, DEFAULT_MEMORY);
    this.#memory = library.create('CreateMemoryInfo', provider.memoryName, DEVICE_ALLOCATOR, 0, DEFAULT_MEMORY);
    try {
      this.#probe = this.#createSession(encodeOnnx(PROBE), NO_FALLBACK);
      this.#allocator = library.create('CreateAllocator', this.#probe, this.#memory);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      throw new KernelError(`there is no ${provider.title} device here (${reason}): ${provider.cure}`, {
        cause: error,
      });
    }
  }

  /** @throws {KernelError} a sentence */
  handle(request: Exclude<Request, { readonly do: 'open' | 'end' }>): void {
    switch (request.do) {
      case 'allocate':
        return this.#remember(request.buffer, () => this.#allocate(request.buffer, request.dtype, request.elements));
      case 'attach':
        return this.#attach(request.buffer, request.memory);
      case 'compile':
        return this.#compile(request.kernel, request.model);
      case 'bind':
        return this.#remember(request.binding, () => this.#bind(request.binding, request.kernel, request.values));
      case 'run':
        return this.#run(request.binding);
      case 'upload':
        return this.#copy(request.buffers, ({ value, host }) => [host!.value, value]);
      case 'download':
        return this.#copy(request.buffers, ({ value, host }) => [value, host!.value]);
      case 'release':
        for (const id of request.ids) this.#release(id);
    }
  }

  /** Releases everything, in the order in which it may go. */
  close(): void {
    for (const id of [...this.#bindings.keys(), ...this.#buffers.keys(), ...this.#sessions.keys()]) this.#release(id);
    this.#library.release('ReleaseAllocator', this.#allocator);
    this.#library.release('ReleaseSession', this.#probe);
    this.#library.release('ReleaseMemoryInfo', this.#memory);
    this.#library.release('ReleaseMemoryInfo', this.#cpu);
    this.#library.release('ReleaseEnv', this.#env);
  }

  #remember(id: Id, make: () => void): void {
    try {
      make();
    } catch (error) {
      this.#failures.set(id, error instanceof Error ? error.message : String(error));
    }
  }

  #found<T>(from: ReadonlyMap<Id, T>, id: Id): T {
    const found = from.get(id);
    if (found === undefined) throw new KernelError(this.#failures.get(id) ?? `internal: the device has no ${id}`);
    return found;
  }

  /** Every session has options of its own: one that is released lets go of the device that appending the provider took. */
  #createSession(model: Uint8Array, [key, value]: SessionEntry): Pointer {
    const options = sessionOptions(this.#library);
    try {
      this.#library.call('AddSessionConfigEntry', options, key, value);
      this.#provider.append(this.#library, options);
      return this.#library.create('CreateSessionFromArray', this.#env, model, model.length, options);
    } finally {
      this.#library.release('ReleaseSessionOptions', options);
    }
  }

  #allocate(id: Id, dtype: OnnxDType, elements: number): void {
    const library = this.#library;
    if (elements === 0) {
      this.#buffers.set(id, { value: 0n, data: 0n, dtype, elements });
      return;
    }
    const value = this.#newTensor(dtype, elements);
    const data = library.create('GetTensorMutableData', value);
    this.#buffers.set(id, { value, data, dtype, elements });
    // The provider hands out memory again as it was released.
    const zeros = new Uint8Array(new SharedArrayBuffer(elements * ELEMENT_BYTES[dtype]));
    const source = this.#tensorOver(this.#cpu, zeros, zeros.byteLength, dtype, [elements]);
    this.#copyTensors([[source, value]]);
    library.release('ReleaseValue', source);
  }

  #newTensor(dtype: OnnxDType, elements: number): Pointer {
    const shape = BigInt64Array.of(BigInt(elements));
    return this.#library.create('CreateTensorAsOrtValue', this.#allocator, shape, 1, dtypeCode(dtype));
  }

  #tensorOver(
    memory: Pointer,
    data: Pointer | ArrayBufferView,
    bytes: number,
    dtype: OnnxDType,
    shape: readonly number[],
  ): Pointer {
    const extents = BigInt64Array.from(shape, BigInt);
    const code = dtypeCode(dtype);
    return this.#library.create('CreateTensorWithDataAsOrtValue', memory, data, bytes, extents, shape.length, code);
  }

  #attach(id: Id, memory: TensorMemory): void {
    const buffer = this.#buffers.get(id);
    if (buffer === undefined || buffer.elements === 0) return;
    const value = this.#tensorOver(this.#cpu, memory, memory.byteLength, buffer.dtype, [buffer.elements]);
    buffer.host = { value, memory };
  }

  #compile(id: Id, model: Uint8Array): void {
    try {
      this.#sessions.set(id, this.#createSession(model, NO_FALLBACK));
    } catch (error) {
      const nodes = this.#nodesOnCpu(model);
      if (nodes.length === 0) throw error;
      throw new KernelError(`the ${this.#provider.title} provider does not have ${nodes.join(', ')}`, { cause: error });
    }
  }

  /** The nodes that the provider leaves to the CPU, which would copy their values there and back unasked. */
  #nodesOnCpu(model: Uint8Array): string[] {
    try {
      const session = this.#createSession(model, RECORD_ASSIGNMENT);
      const nodes = cpuNodes(this.#library, session);
      this.#library.release('ReleaseSession', session);
      return nodes;
    } catch {
      // The graph is refused for another reason, which the caller knows.
      return [];
    }
  }

  #bind(id: Id, kernel: Id, given: readonly DeviceValue[]): void {
    const library = this.#library;
    const session = this.#found(this.#sessions, kernel);
    const pointer = library.create('CreateIoBinding', session);
    const values: Pointer[] = [];
    const copies: { from: Pointer; to: Pointer }[] = [];
    const read = new Set(given.filter(({ isInput }) => isInput).map(({ buffer }) => buffer));
    for (const { name, isInput, buffer, shape } of given) {
      const { value, data, dtype, elements } = this.#found(this.#buffers, buffer);
      // WebGPU forbids that a shader reads and writes one buffer by two names.
      const apart = !isInput && read.has(buffer) && elements > 0;
      const target = apart ? this.#newTensor(dtype, elements) : 0n;
      if (apart) {
        values.push(target);
        copies.push({ from: target, to: value });
      }
      const handle = apart ? library.create('GetTensorMutableData', target) : data;
      const bound = this.#tensorOver(this.#memory, handle, elements * ELEMENT_BYTES[dtype], dtype, shape);
      values.push(bound);
      library.call(isInput ? 'BindInput' : 'BindOutput', pointer, name, bound);
    }
    this.#bindings.set(id, { session, pointer, values, copies });
  }

  #run(id: Id): void {
    const { session, pointer, copies } = this.#found(this.#bindings, id);
    this.#library.call('RunWithBinding', session, null, pointer);
    if (copies.length > 0) this.#copyTensors(copies.map(({ from, to }) => [from, to]));
  }

  #copy(ids: readonly Id[], ends: (buffer: Buffer) => [source: Pointer, target: Pointer]): void {
    const buffers = ids.map((id) => this.#found(this.#buffers, id)).filter(({ elements }) => elements > 0);
    if (buffers.length > 0) this.#copyTensors(buffers.map(ends));
  }

  #copyTensors(pairs: readonly (readonly [source: Pointer, target: Pointer])[]): void {
    const [sources, targets] = [0, 1].map((end) => BigUint64Array.from(pairs, (pair) => pair[end]!));
    this.#library.call('CopyTensors', this.#env, sources!, targets!, null, pairs.length);
  }

  #release(id: Id): void {
    const library = this.#library;
    const binding = this.#bindings.get(id);
    if (binding !== undefined) {
      library.release('ReleaseIoBinding', binding.pointer);
      for (const value of binding.values) library.release('ReleaseValue', value);
    }
    const session = this.#sessions.get(id);
    if (session !== undefined) library.release('ReleaseSession', session);
    const buffer = this.#buffers.get(id);
    if (buffer?.host !== undefined) library.release('ReleaseValue', buffer.host.value);
    if (buffer !== undefined && buffer.value !== 0n) library.release('ReleaseValue', buffer.value);
    for (const map of [this.#bindings, this.#sessions, this.#buffers, this.#failures]) map.delete(id);
  }
}

/** A graph that every device can run; its session gives the allocator. */
const PROBE: OnnxGraph = {
  name: 'probe',
  opset: 17,
  inputs: [{ name: 'x', dtype: 'float32', shape: [1] }],
  outputs: [{ name: 'y', dtype: 'float32', shape: [1] }],
  initializers: new Map(),
  nodes: [{ name: 'add', opType: 'Add', domain: '', inputs: ['x', 'x'], outputs: ['y'], attributes: {} }],
};
