import { ELEMENT_BYTES } from '../../../soap/onnx/element-types.ts';
import { KernelError } from '../kernels.ts';
import { createEnvironment } from '../onnxruntime/environment.ts';
import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';
import { loadOrtLibrary } from '../onnxruntime/library.ts';
import type { Copy, DeviceTensor } from './device-tensors.ts';
import { DeviceTensors } from './device-tensors.ts';
import type { DeviceSessions } from './device-sessions.ts';
import { deviceSessions } from './device-sessions.ts';
import { KernelSessions } from './kernel-sessions.ts';
import type { DeviceValue, Id, Request } from './protocol.ts';
import { pinLibraries } from './pin-libraries.ts';
import type { DeviceProvider } from './providers.ts';
import type { BoundTensor } from './session-binding.ts';
import { SessionBinding } from './session-binding.ts';
import { messageOf } from '../../../soap/message-of.ts';

/**
 * Buffers and sessions of a device. It must be used by one thread alone: the WebGPU provider takes no two calls at once, from
 * whatever sessions (a crash was seen), so there is one of it in a process.
 */
export class DeviceHost {
  readonly #library: OrtLibrary;
  readonly #env: Pointer;
  readonly #writesInPlace: boolean;
  readonly #sessionsOf: DeviceSessions;
  /** A session that keeps the device open: tensors need it. */
  readonly #probe: Pointer;
  readonly #memory: DeviceTensors;
  readonly #buffers = new Map<Id, DeviceTensor>();
  readonly #sessions = new Map<Id, KernelSessions>();
  readonly #bindings = new Map<Id, SessionBinding>();
  /** What could not be made, and why: said by whoever uses it. */
  readonly #failures = new Map<Id, string>();

  /** @throws {KernelError} a sentence with the cure, where there is no such device */
  constructor(provider: DeviceProvider, gpu: number) {
    const library = loadOrtLibrary();
    this.#library = library;
    this.#writesInPlace = provider.writesInPlace;
    this.#env = createEnvironment(library, { threads: 1 });
    this.#sessionsOf = deviceSessions(library, this.#env, provider, gpu);
    this.#probe = this.#sessionsOf.probe();
    const session = this.#probe;
    this.#memory = new DeviceTensors({ library, env: this.#env, name: provider.memoryName, gpu, session });
  }

  /** @throws {KernelError} a sentence */
  handle(request: Exclude<Request, { readonly do: 'open' | 'end' }>): void {
    switch (request.do) {
      case 'allocate': {
        const { buffer, dtype, elements } = request;
        return this.#remember(buffer, () => this.#buffers.set(buffer, this.#memory.allocate(dtype, elements)));
      }
      case 'view': {
        const { buffer, of, dtype, elements } = request;
        return this.#remember(buffer, () =>
          this.#buffers.set(buffer, this.#memory.view(this.#found(this.#buffers, of), dtype, elements)),
        );
      }
      case 'attach': {
        const buffer = this.#buffers.get(request.buffer);
        if (buffer !== undefined) this.#memory.attach(buffer, request.memory);
        return;
      }
      case 'compile':
        this.#sessions.set(request.kernel, new KernelSessions(this.#library, this.#sessionsOf, request.graph));
        return;
      case 'bind':
        return this.#remember(request.binding, () => this.#bind(request.binding, request.kernel, request.values));
      case 'run':
        return this.#found(this.#bindings, request.binding).run();
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
    this.#memory.settle();
    for (const id of [...this.#bindings.keys(), ...this.#buffers.keys(), ...this.#sessions.keys()]) this.#release(id);
    this.#memory.close();
    pinLibraries();
    this.#library.release('ReleaseSession', this.#probe);
    this.#library.release('ReleaseEnv', this.#env);
  }

  #remember(id: Id, make: () => void): void {
    try {
      make();
    } catch (error) {
      this.#failures.set(id, messageOf(error));
    }
  }

  #found<T>(from: ReadonlyMap<Id, T>, id: Id): T {
    const found = from.get(id);
    if (found === undefined) throw new KernelError(this.#failures.get(id) ?? `internal: the device has no ${id}`);
    return found;
  }

  #bind(id: Id, kernel: Id, given: readonly DeviceValue[]): void {
    const [library, memory] = [this.#library, this.#memory];
    const sessions = this.#found(this.#sessions, kernel);
    const tensors: BoundTensor[] = [];
    const copies: Copy[] = [];
    const inPlace: { value: Pointer; bytes: number }[] = [];
    const read = new Set(given.filter(({ isInput }) => isInput).map(({ buffer }) => buffer));
    for (const { name, isInput, buffer, shape } of given) {
      const { value, data, dtype, elements } = this.#found(this.#buffers, buffer);
      const bytes = elements * ELEMENT_BYTES[dtype];
      const isReadToo = !isInput && read.has(buffer) && elements > 0;
      const isApart = isReadToo && !this.#writesInPlace;
      const handle = isApart ? memory.spare(copies.length, bytes) : data;
      tensors.push({ name, isInput, value: memory.shaped(handle, dtype, shape) });
      if (isApart) copies.push([memory.shaped(handle, dtype, [elements]), value]);
      else if (isReadToo) inPlace.push({ value, bytes });
    }
    this.#bindings.set(id, new SessionBinding({ library, memory, sessions, tensors, copies, inPlace, id }));
  }

  #copy(ids: readonly Id[], ends: (buffer: DeviceTensor) => Copy): void {
    const buffers = ids.map((id) => this.#found(this.#buffers, id)).filter(({ elements }) => elements > 0);
    this.#memory.copy(buffers.map(ends));
  }

  #release(id: Id): void {
    this.#bindings.get(id)?.release();
    this.#sessions.get(id)?.release();
    const buffer = this.#buffers.get(id);
    if (buffer !== undefined) this.#memory.release(buffer);
    for (const map of [this.#bindings, this.#sessions, this.#buffers, this.#failures]) map.delete(id);
  }
}
