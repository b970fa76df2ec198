/** What a task is; `a` and `b` of the store say which one. */
export const TASK = {
  /** a: op, b: part. */
  forward: 0,
  backward: 1,
  forwardStatistics: 2,
  backwardStatistics: 3,
  /** a: op, b: group. */
  forwardGather: 4,
  backwardGather: 5,
  /** a: edge, b: pair. */
  activation: 6,
  gradient: 7,
  /** a: parameter, b: shard. */
  collective: 8,
  /** a: parameter, b: index among the parameter's updates. */
  update: 9,
} as const;

export type TaskCode = (typeof TASK)[keyof typeof TASK];

/** The position of a task that was never simulated: after all others. */
const NOWHERE: number = 2 ** 31 - 1;

/** Tasks in parallel arrays, by number. Numbers of removed tasks are used again. */
export class TaskStore {
  kind: Uint8Array = new Uint8Array(0);
  a: Int32Array = new Int32Array(0);
  b: Int32Array = new Int32Array(0);
  /** Breaks ties, see taskKey. */
  key: Float64Array = new Float64Array(0);
  /** Microseconds; of a transfer, its bytes. */
  amount: Float64Array = new Float64Array(0);
  /** Resource set that it holds. */
  set: Int32Array = new Int32Array(0);
  /** Of the accepted timeline. */
  readyUs: Float64Array = new Float64Array(0);
  endUs: Float64Array = new Float64Array(0);
  position: Int32Array = new Int32Array(0);
  readonly #free: number[] = [];
  #used = 0;

  /** How many tasks there are. */
  get size(): number {
    return this.#used - this.#free.length;
  }

  /** One more than the largest number. */
  get capacity(): number {
    return this.kind.length;
  }

  /** @param amount microseconds; of a transfer, bytes */
  add(kind: TaskCode, a: number, b: number, key: number, amount: number, set: number): number {
    const id = this.#free.pop() ?? this.#used++;
    if (id >= this.kind.length) this.#grow();
    this.kind[id] = kind;
    this.a[id] = a;
    this.b[id] = b;
    this.key[id] = key;
    this.amount[id] = amount;
    this.set[id] = set;
    this.position[id] = NOWHERE;
    return id;
  }

  remove(id: number): void {
    this.#free.push(id);
  }

  #grow(): void {
    const size = Math.max(1024, 2 * this.kind.length);
    this.kind = grown(this.kind, new Uint8Array(size));
    this.a = grown(this.a, new Int32Array(size));
    this.b = grown(this.b, new Int32Array(size));
    this.key = grown(this.key, new Float64Array(size));
    this.amount = grown(this.amount, new Float64Array(size));
    this.set = grown(this.set, new Int32Array(size));
    this.readyUs = grown(this.readyUs, new Float64Array(size));
    this.endUs = grown(this.endUs, new Float64Array(size));
    this.position = grown(this.position, new Int32Array(size));
  }
}

/** Copies the old elements into a larger array. */
export function grown<T extends Uint8Array | Int32Array | Float64Array>(old: T, larger: T): T {
  larger.set(old);
  return larger;
}
