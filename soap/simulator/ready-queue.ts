/** A binary heap of task ids ordered by ready time, then key. Parallel arrays, since it is the simulator's inner loop. */
export class ReadyQueue {
  readonly #readyUs: number[] = [];
  readonly #keys: number[] = [];
  readonly #ids: number[] = [];

  push(readyUs: number, key: number, id: number): void {
    let hole = this.#ids.length;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      if (!this.#before(readyUs, key, parent)) break;
      this.#move(parent, hole);
      hole = parent;
    }
    this.#place(hole, readyUs, key, id);
  }

  /** Takes the first id, or undefined when empty. */
  pop(): number | undefined {
    const first = this.#ids[0];
    const readyUs = this.#readyUs.pop();
    const key = this.#keys.pop();
    const id = this.#ids.pop();
    if (readyUs === undefined || key === undefined || id === undefined || this.#ids.length === 0) return first;
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= this.#ids.length) break;
      const right = child + 1;
      if (right < this.#ids.length && this.#before(this.#readyUs[right]!, this.#keys[right]!, child)) child = right;
      if (this.#before(readyUs, key, child)) break;
      this.#move(child, hole);
      hole = child;
    }
    this.#place(hole, readyUs, key, id);
    return first;
  }

  /** Whether (readyUs, key) comes before the entry at an index. */
  #before(readyUs: number, key: number, index: number): boolean {
    const other = this.#readyUs[index]!;
    return readyUs < other || (readyUs === other && key < this.#keys[index]!);
  }

  #move(from: number, to: number): void {
    this.#place(to, this.#readyUs[from]!, this.#keys[from]!, this.#ids[from]!);
  }

  #place(index: number, readyUs: number, key: number, id: number): void {
    this.#readyUs[index] = readyUs;
    this.#keys[index] = key;
    this.#ids[index] = id;
  }
}
