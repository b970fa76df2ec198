/** Memory that is kept for buffers of the same size; a training step needs the same ones as the last. */
const MAX_KEPT_BYTES: number = 8 * 2 ** 20;

/** Smaller ones cost next to nothing to make. */
const MIN_KEPT_BYTES = 16_384;

/** Buffers that are used again: the pages of fresh ones are not there until they are touched, which costs more than a copy. */
export class BufferPool {
  #free: Uint8Array[] = [];
  #keptBytes = 0;

  /** A buffer of that size, of an ArrayBuffer of its own. What it holds is anything. */
  take(bytes: number): Uint8Array {
    const index = this.#free.findLastIndex(({ byteLength }) => byteLength === bytes);
    // Every byte of it is written before anyone sees it.
    if (index === -1) return Buffer.allocUnsafeSlow(bytes);
    const [buffer] = this.#free.splice(index, 1);
    this.#keptBytes -= bytes;
    return buffer!;
  }

  /** Takes back a buffer that nobody uses any more. */
  give(buffer: Uint8Array): void {
    if (buffer.byteLength < MIN_KEPT_BYTES) return;
    this.#free.push(buffer);
    this.#keptBytes += buffer.byteLength;
    while (this.#keptBytes > MAX_KEPT_BYTES) this.#keptBytes -= this.#free.shift()!.byteLength;
  }
}
