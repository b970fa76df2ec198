import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';
import type { Copy, DeviceTensors } from './device-tensors.ts';
import type { DeviceSession } from './device-sessions.ts';
import type { KernelSessions } from './kernel-sessions.ts';

/** A graph input or output in memory of the device. */
export interface BoundTensor {
  readonly name: string;
  readonly isInput: boolean;
  readonly value: Pointer;
}

/** What a binding is made of; tensors, and what is copied from, are released with it. */
export interface BindingParts {
  readonly library: Pick<OrtLibrary, 'call' | 'create' | 'release'>;
  readonly memory: Pick<DeviceTensors, 'copy' | 'duplicate'>;
  readonly sessions: KernelSessions;
  readonly tensors: readonly BoundTensor[];
  /** From where a run writes apart from a buffer that it also reads, to that buffer. */
  readonly copies: readonly Copy[];
  /** What a run reads and writes in place, as flat tensors, with their bytes. */
  readonly inPlace: readonly { readonly value: Pointer; readonly bytes: number }[];
  /** A number that no other binding of the process has. */
  readonly id: number;
}

/**
 * Bytes read and written in place up to which a kernel is recorded: they are kept meanwhile. What changes more takes so long that its
 * start does not count.
 */
const MOST_KEPT_BYTES = 2 ** 27;

/** The setting of a run that names its recording, and what says that it has none. Source: kOrtRunOptionsConfigCudaGraphAnnotation of ONNX Runtime. */
const [RECORDING, NO_RECORDING] = ['gpu_graph_id', '-1'];

/**
 * A session with its buffers. Where the session records, what the first run starts on the device is recorded, and later runs start it
 * all at once.
 */
export class SessionBinding {
  readonly #parts: BindingParts;
  #session: DeviceSession;
  #pointer: Pointer;
  #runOptions: Pointer | null = null;
  /** Whether the next run is to be recorded. */
  #records: boolean;

  constructor(parts: BindingParts) {
    const { library, inPlace, id } = parts;
    this.#parts = parts;
    this.#session = parts.sessions.next();
    this.#pointer = this.#bind();
    const keptBytes = inPlace.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#records = this.#session.records && keptBytes <= MOST_KEPT_BYTES;
    if (!this.#session.records) return;
    this.#runOptions = library.create('CreateRunOptions');
    library.call('AddRunConfigEntry', this.#runOptions, RECORDING, this.#records ? String(id) : NO_RECORDING);
  }

  run(): void {
    const { memory, copies } = this.#parts;
    if (this.#records) this.#record();
    else this.#runOnce();
    memory.copy(copies);
  }

  release(): void {
    const { library, tensors, copies } = this.#parts;
    library.release('ReleaseIoBinding', this.#pointer);
    if (this.#runOptions !== null) library.release('ReleaseRunOptions', this.#runOptions);
    const values = [...tensors.map(({ value }) => value), ...copies.map(([written]) => written)];
    for (const value of values) library.release('ReleaseValue', value);
  }

  /** The library runs a graph several times until it has recorded it, so what it reads is put back before the run that counts. */
  #record(): void {
    const { memory, inPlace } = this.#parts;
    this.#records = false;
    const kept = inPlace.map(({ value, bytes }) => memory.duplicate(value, bytes));
    const isRecorded = this.#tryRun();
    if (!isRecorded) this.#bindPlainly();
    for (const copy of kept) copy.putBack();
    if (!isRecorded || kept.length > 0) this.#runOnce();
    for (const copy of kept) copy.release();
  }

  #tryRun(): boolean {
    try {
      this.#runOnce();
      return true;
    } catch {
      // Kernels that wait for the device cannot be recorded; a run that fails for another reason fails again.
      return false;
    }
  }

  #bindPlainly(): void {
    const { library, sessions } = this.#parts;
    library.release('ReleaseIoBinding', this.#pointer);
    library.release('ReleaseRunOptions', this.#runOptions!);
    this.#session = sessions.plain();
    this.#pointer = this.#bind();
    this.#runOptions = null;
  }

  #runOnce(): void {
    this.#parts.library.call('RunWithBinding', this.#session.pointer, this.#runOptions, this.#pointer);
  }

  #bind(): Pointer {
    const { library, tensors } = this.#parts;
    const pointer = library.create('CreateIoBinding', this.#session.pointer);
    for (const { name, isInput, value } of tensors)
      library.call(isInput ? 'BindInput' : 'BindOutput', pointer, name, value);
    return pointer;
  }
}
