import { grown } from './task-store.ts';

/** A binary heap of task numbers ordered by ready time, then key. Typed arrays: it is the innermost loop of planning. */
export class TaskHeap {
  size: number = 0;
  ids: Int32Array = new Int32Array(1024);
  readyUs: Float64Array = new Float64Array(1024);
  #keys = new Float64Array(1024);

  clear(): void {
    this.size = 0;
  }

  push(id: number, readyUs: number, key: number): void {
    if (this.size === this.ids.length) this.#grow();
    const [ids, times, keys] = [this.ids, this.readyUs, this.#keys];
    let hole = this.size++;
    while (hole > 0) {
      const parent = (hole - 1) >> 1;
      const time = times[parent]!;
      if (time < readyUs || (time === readyUs && keys[parent]! < key)) break;
      ids[hole] = ids[parent]!;
      times[hole] = time;
      keys[hole] = keys[parent]!;
      hole = parent;
    }
    ids[hole] = id;
    times[hole] = readyUs;
    keys[hole] = key;
  }

  /** Takes the first task; -1 when empty. */
  pop(): number {
    if (this.size === 0) return -1;
    const [ids, times, keys] = [this.ids, this.readyUs, this.#keys];
    const first = ids[0]!;
    const last = --this.size;
    const [id, readyUs, key] = [ids[last]!, times[last]!, keys[last]!];
    let hole = 0;
    for (;;) {
      let child = 2 * hole + 1;
      if (child >= last) break;
      const right = child + 1;
      if (
        right < last &&
        (times[right]! < times[child]! || (times[right] === times[child] && keys[right]! < keys[child]!))
      ) {
        child = right;
      }
      const time = times[child]!;
      if (readyUs < time || (readyUs === time && key < keys[child]!)) break;
      ids[hole] = ids[child]!;
      times[hole] = time;
      keys[hole] = keys[child]!;
      hole = child;
    }
    ids[hole] = id;
    times[hole] = readyUs;
    keys[hole] = key;
    return first;
  }

  #grow(): void {
    const size = 2 * this.ids.length;
    this.ids = grown(this.ids, new Int32Array(size));
    this.readyUs = grown(this.readyUs, new Float64Array(size));
    this.#keys = grown(this.#keys, new Float64Array(size));
  }
}
