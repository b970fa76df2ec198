import { KernelError } from '../kernels.ts';
import type { Pointer } from './library.ts';

/**
 * A native object with a count of its users: its owner and what is made from it. The last one to let go releases it, so a
 * session outlives its bindings, and a binding its run, in whatever order their owners release them.
 */
export class Held {
  readonly #name: string;
  readonly #pointer: Pointer;
  readonly #dispose: () => void;
  #users = 1;
  #owned = true;

  constructor(name: string, pointer: Pointer, dispose: () => void) {
    this.#name = name;
    this.#pointer = pointer;
    this.#dispose = dispose;
  }

  get pointer(): Pointer {
    this.requireOwned();
    return this.#pointer;
  }

  /** @throws {KernelError} once the owner has let go */
  requireOwned(): void {
    if (!this.#owned) throw new KernelError(`${this.#name} is released`);
  }

  /** Adds a user. Returns its way to let go, once. */
  use(): () => void {
    this.requireOwned();
    this.#users += 1;
    return () => this.#letGo();
  }

  /** The owner lets go; a second time does nothing. */
  release(): void {
    if (!this.#owned) return;
    this.#owned = false;
    this.#letGo();
  }

  #letGo(): void {
    this.#users -= 1;
    if (this.#users === 0) this.#dispose();
  }
}
