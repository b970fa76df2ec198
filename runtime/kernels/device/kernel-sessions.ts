import type { OrtLibrary } from '../onnxruntime/library.ts';
import type { DeviceModel } from './device-model.ts';
import type { DeviceSession, DeviceSessions } from './device-sessions.ts';

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
