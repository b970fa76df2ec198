import type { OrtLibrary, Pointer } from '../onnxruntime/library.ts';
import type { DeviceSessions } from './device-sessions.ts';

/** A compiled session. */
export interface DeviceSession {
  readonly pointer: Pointer;
  /** Whether what its runs start on the device is recorded, and started again at once. */
  readonly records: boolean;
}

/** A graph to compile. */
export interface DeviceModel {
  /** The encoded ONNX file. */
  readonly model: Uint8Array;
  /**
   * Whether no kernel of it copies anything from the host's memory while it runs. Recordings of others copy it again from where it was, which
   * another binding of the session has overwritten.
   */
  readonly staysOnDevice: boolean;
}

/** The sessions of a graph: one, but where its recordings must not share one. */
export class KernelSessions {
  readonly #library: Pick<OrtLibrary, 'release'>;
  readonly #compiler: DeviceSessions;
  readonly #graph: DeviceModel;
  readonly #all: DeviceSession[];
  /** Compiled and not yet given to a binding. */
  #unused: DeviceSession | undefined;
  /** Serves every binding that is not recorded. */
  #plain: DeviceSession | undefined;

  /** @throws {KernelError} naming the nodes that the provider does not have */
  constructor(library: Pick<OrtLibrary, 'release'>, compiler: DeviceSessions, graph: DeviceModel) {
    this.#library = library;
    this.#compiler = compiler;
    this.#graph = graph;
    const first = compiler.compile(graph.model);
    this.#all = [first];
    if (first.records) this.#unused = first;
    else this.#plain = first;
  }

  /** The session of one more binding. */
  next(): DeviceSession {
    if (this.#plain !== undefined) return this.#plain;
    const session = this.#unused ?? this.#add(this.#compiler.compile(this.#graph.model));
    this.#unused = this.#graph.staysOnDevice ? session : undefined;
    return session;
  }

  /** A session that records nothing, for a binding whose runs cannot be recorded; it serves those to come, too. */
  plain(): DeviceSession {
    return (this.#plain ??= this.#add(this.#compiler.compilePlain(this.#graph.model)));
  }

  release(): void {
    for (const { pointer } of this.#all) this.#library.release('ReleaseSession', pointer);
  }

  #add(session: DeviceSession): DeviceSession {
    this.#all.push(session);
    return session;
  }
}
