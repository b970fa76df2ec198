import { dtypeCode, ELEMENT_BYTES } from '../../../soap/onnx/element-types.ts';
import type { OnnxDType } from '../../../soap/onnx/model.ts';
import type { TensorMemory } from '../kernels.ts';
import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';

const [DEVICE_ALLOCATOR, ARENA_ALLOCATOR, DEFAULT_MEMORY] = [0, 1, 0];

/** A tensor on the device, as a flat list. */
export interface DeviceTensor {
  /** 0n where there are no elements. */
  readonly value: Pointer;
  /** What its memory belongs to; 0n for a view. */
  readonly owner: Pointer;
  /** A handle of the device; it is not an address of this process. */
  readonly data: Pointer;
  readonly dtype: OnnxDType;
  readonly elements: number;
  /** The host's side: a tensor over memory that is held here. */
  host?: { readonly value: Pointer; readonly memory: TensorMemory };
}

/** A copy between two tensors of the library. */
export type Copy = readonly [source: Pointer, target: Pointer];

/** What a tensor held. */
export interface Duplicate {
  putBack(): void;
  release(): void;
}

interface DeviceTensorsParts {
  readonly library: OrtLibrary;
  readonly env: Pointer;
  /** The library's name of the memory, and which device of it. */
  readonly name: string;
  readonly gpu: number;
  /** A session on the device; it stays open as long as this memory. */
  readonly session: Pointer;
}

/** The memory of a device, and the host's. */
export class DeviceTensors {
  readonly #library: OrtLibrary;
  readonly #env: Pointer;
  readonly #host: Pointer;
  readonly #device: Pointer;
  /** It outlives every tensor that it made. */
  readonly #allocator: Pointer;
  /** Host memory that the library reads or writes now. */
  readonly #lent = new Set<ArrayBufferView>();
  /** By number of the output, from the smallest to the largest. */
  readonly #spares: { readonly value: Pointer; readonly data: Pointer; readonly bytes: number }[][] = [];

  constructor({ library, env, name, gpu, session }: DeviceTensorsParts) {
    this.#library = library;
    this.#env = env;
    this.#host = library.create('CreateCpuMemoryInfo', ARENA_ALLOCATOR, DEFAULT_MEMORY);
    this.#device = library.create('CreateMemoryInfo', name, DEVICE_ALLOCATOR, gpu, DEFAULT_MEMORY);
    this.#allocator = library.create('CreateAllocator', session, this.#device);
  }

  /** A zeroed tensor. */
  allocate(dtype: OnnxDType, elements: number): DeviceTensor {
    if (elements === 0) return { value: 0n, owner: 0n, data: 0n, dtype, elements };
    const owner = this.#newTensor(dtype, elements);
    const data = this.#library.create('GetTensorMutableData', owner);
    // All ends of a copy must say of their memory the same, and an allocator says more of it.
    const value = this.shaped(data, dtype, [elements]);
    // The provider hands out memory again as it was released.
    const zeros = new Uint8Array(new SharedArrayBuffer(elements * ELEMENT_BYTES[dtype]));
    this.#withHost(zeros, dtype, elements, (source) => this.copy([[source, value]]));
    return { value, owner, data, dtype, elements };
  }

  /** The first bytes of a tensor as one of its own; the memory stays with the first, which is released last. */
  view({ data }: DeviceTensor, dtype: OnnxDType, elements: number): DeviceTensor {
    if (elements === 0) return { value: 0n, owner: 0n, data: 0n, dtype, elements };
    return { value: this.shaped(data, dtype, [elements]), owner: 0n, data, dtype, elements };
  }

  /** Says where the host's side of a tensor is. */
  attach(tensor: DeviceTensor, memory: TensorMemory): void {
    const { dtype, elements } = tensor;
    if (elements > 0) tensor.host = { value: this.#hostTensor(memory, dtype, elements), memory };
  }

  /** The same memory, or the first bytes of it, as a tensor of another shape; the caller releases it. */
  shaped(data: Pointer, dtype: OnnxDType, shape: readonly number[]): Pointer {
    const bytes = shape.reduce((a, b) => a * b, ELEMENT_BYTES[dtype]);
    return this.#tensorOver(this.#device, data, bytes, dtype, shape);
  }

  /**
   * The handle of memory for the output of that number which a run writes apart. Runs come one after the other, so all
   * bindings share it; one that is too small stays for those that have it.
   */
  spare(number: number, bytes: number): Pointer {
    const spares = (this.#spares[number] ??= []);
    const last = spares.at(-1);
    if (last !== undefined && last.bytes >= bytes) return last.data;
    const value = this.#newTensor('uint8', bytes);
    const data = this.#library.create('GetTensorMutableData', value);
    spares.push({ value, data, bytes });
    return data;
  }

  /** Keeps what a flat tensor of so many bytes holds. */
  duplicate(value: Pointer, bytes: number): Duplicate {
    const copy = this.#newTensor('uint8', bytes);
    const data = this.#library.create('GetTensorMutableData', copy);
    const [original, kept] = [this.#library.create('GetTensorMutableData', value), data].map((at) =>
      this.shaped(at, 'uint8', [bytes]),
    );
    this.copy([[original!, kept!]]);
    return {
      putBack: () => this.copy([[kept!, original!]]),
      release: () => [original!, kept!, copy].forEach((each) => this.#library.release('ReleaseValue', each)),
    };
  }

  copy(copies: readonly Copy[]): void {
    if (copies.length === 0) return;
    const [sources, targets] = [0, 1].map((end) => BigUint64Array.from(copies, (each) => each[end]!));
    this.#library.call('CopyTensors', this.#env, sources!, targets!, null, copies.length);
  }

  /** Waits for the runs that have begun, which only a download does: releasing under them was seen to crash a driver. */
  settle(): void {
    const source = this.#newTensor('float32', 1);
    const memory = new Float32Array(new SharedArrayBuffer(4));
    this.#withHost(memory, 'float32', 1, (target) => this.copy([[source, target]]));
    this.#library.release('ReleaseValue', source);
  }

  release({ value, owner, host }: DeviceTensor): void {
    if (host !== undefined) this.#library.release('ReleaseValue', host.value);
    for (const each of [value, owner]) if (each !== 0n) this.#library.release('ReleaseValue', each);
  }

  /** To be called when every tensor is released. */
  close(): void {
    for (const { value } of this.#spares.flat()) this.#library.release('ReleaseValue', value);
    this.#library.release('ReleaseAllocator', this.#allocator);
    this.#library.release('ReleaseMemoryInfo', this.#device);
    this.#library.release('ReleaseMemoryInfo', this.#host);
  }

  #newTensor(dtype: OnnxDType, elements: number): Pointer {
    const shape = BigInt64Array.of(BigInt(elements));
    return this.#library.create('CreateTensorAsOrtValue', this.#allocator, shape, 1, dtypeCode(dtype));
  }

  /** A tensor over memory that the caller holds as long. */
  #hostTensor(memory: ArrayBufferView, dtype: OnnxDType, elements: number): Pointer {
    return this.#tensorOver(this.#host, memory, memory.byteLength, dtype, [elements]);
  }

  /** Lends a tensor over host memory. */
  #withHost(memory: ArrayBufferView, dtype: OnnxDType, elements: number, use: (value: Pointer) => void): void {
    const value = this.#hostTensor(memory, dtype, elements);
    // The library does not hold the memory, and a variable that is not used any more holds nothing either.
    this.#lent.add(memory);
    try {
      use(value);
    } finally {
      this.#library.release('ReleaseValue', value);
      this.#lent.delete(memory);
    }
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
}
