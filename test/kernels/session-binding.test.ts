/** Bindings whose runs are recorded, by a made-up library that runs a graph several times until it has recorded it, as CUDA's does. */
import test from 'ava';
import { KernelSessions } from '../../runtime/kernels/device/kernel-sessions.ts';
import type { BindingParts } from '../../runtime/kernels/device/session-binding.ts';
import { SessionBinding } from '../../runtime/kernels/device/session-binding.ts';
import { KernelError } from '../../runtime/kernels/kernels.ts';
import type { OrtLibrary, Pointer } from '../../runtime/kernels/onnxruntime/library.ts';

/** A graph that adds 1 to a number in place, and its library. */
class MadeUp {
  number = 0;
  /** Compiled so far; those that record have even pointers. */
  sessions = 0;
  readonly #canRecord: boolean;
  readonly #recorded = new Set<string>();
  readonly #options = new Map<Pointer, string>();
  #pointers = 1000n;

  constructor(canRecord: boolean) {
    this.#canRecord = canRecord;
  }

  binding(staysOnDevice: boolean): () => SessionBinding {
    const compiler = {
      compile: () => ({ pointer: BigInt(2 * ++this.sessions), records: true }),
      compilePlain: () => ({ pointer: BigInt(2 * ++this.sessions + 1), records: false }),
      probe: () => 0n,
    };
    const sessions = new KernelSessions(this.#library, compiler, { model: new Uint8Array(), staysOnDevice });
    let id = 0;
    return () => new SessionBinding({ ...this.#parts, sessions, id: ++id });
  }

  get #parts(): Omit<BindingParts, 'sessions' | 'id'> {
    const duplicate = (): { putBack: () => void; release: () => void } => {
      const kept = this.number;
      return { putBack: () => (this.number = kept), release: () => undefined };
    };
    return {
      library: this.#library,
      memory: { copy: () => undefined, duplicate },
      tensors: [],
      copies: [],
      inPlace: [{ value: 1n, bytes: 4 }],
    };
  }

  readonly #call: OrtLibrary['call'] = (name, ...values) => {
    const [first, second, third]: readonly unknown[] = values;
    if (name === 'AddRunConfigEntry') this.#options.set(BigInt(String(first)), String(third));
    if (name === 'RunWithBinding')
      this.#run(BigInt(String(first)), second === null ? undefined : BigInt(String(second)));
  };

  readonly #library: BindingParts['library'] = {
    call: this.#call,
    create: () => this.#pointers++,
    release: () => undefined,
  };

  #run(session: Pointer, options: Pointer | undefined): void {
    this.number += 1;
    const recording = options === undefined ? undefined : `${session} ${this.#options.get(options)}`;
    if (recording === undefined || this.#recorded.has(recording)) return;
    if (!this.#canRecord) throw new KernelError('operation failed due to a previous error during capture');
    this.number += 1;
    this.#recorded.add(recording);
  }
}

test('what a kernel changes in place is changed once a run, also by the run that is recorded', (t) => {
  const library = new MadeUp(true);
  const binding = library.binding(true)();
  for (let run = 1; run <= 3; run++) {
    binding.run();
    t.is(library.number, run);
  }
});

test('a kernel that cannot be recorded runs as it is', (t) => {
  const library = new MadeUp(false);
  const bind = library.binding(true);
  const [first, second] = [bind(), bind()];
  for (let run = 1; run <= 3; run++) {
    first.run();
    second.run();
    t.is(library.number, 2 * run);
  }
  t.is(library.sessions, 2);
});

test('recordings share a session only where they read nothing of the host', (t) => {
  for (const staysOnDevice of [true, false]) {
    const library = new MadeUp(true);
    const bind = library.binding(staysOnDevice);
    for (const binding of [bind(), bind(), bind()]) binding.run();
    t.is(library.number, 3);
    t.is(library.sessions, staysOnDevice ? 1 : 3);
  }
});
