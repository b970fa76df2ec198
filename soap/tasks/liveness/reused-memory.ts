import type { OpNeeds } from './op-needs.ts';

/** The split of an op as far as its memory goes. */
export interface OpSplit {
  /** By part. */
  readonly outputBytes: Float64Array;
  /** By part, what it reads, the batch left out: it computes gradients of that. */
  readonly readBytes: Float64Array;
  readonly devices: readonly number[];
}

/**
 * By how much devices need less than if all that `deviceMemoryBytes` counts were there for the whole iteration, by device id:
 * outputs that no backward pass reads are there until their last reader has run, gradients from the first backward pass that
 * adds to them to the op's own, with the ops one after the other, forward and back; beside them is what one part at a time computes of
 * gradients that others add up. It takes the order of the graph for that of
 * the devices, so it is an estimate; `programMemory` has the exact numbers, and takes a thousand times as long.
 */
export function reusedBytes(needs: OpNeeds, splits: readonly OpSplit[], deviceCount: number): Float64Array {
  const forward = new Sweep(splits, deviceCount);
  const backward = new Sweep(splits, deviceCount);
  const reused = new Float64Array(deviceCount);
  const count = splits.length;
  for (let op = 0; op < count; op++) {
    if (!needs.isHeld[op]!) forward.begin(op);
    for (const read of needs.lastReads[op]!) if (!needs.isHeld[read]!) forward.end(read);
  }
  for (let op = count - 1; op >= 0; op--) {
    for (const read of needs.lastReads[op]!) if (needs.hasBackward[read]!) backward.begin(read);
    if (!needs.hasBackward[op]!) continue;
    backward.pass(op);
    backward.end(op);
  }
  splits.forEach(({ outputBytes, devices }, op) => {
    if (!needs.hasBackward[op]!) devices.forEach((device, part) => (reused[device]! += outputBytes[part]!));
  });
  for (let device = 0; device < deviceCount; device++) {
    const peak = Math.max(forward.peak[device]!, backward.peak[device]!);
    reused[device]! += forward.all[device]! + backward.all[device]! - peak;
  }
  return reused;
}

/** What is live in the course of one direction. */
class Sweep {
  readonly peak: Float64Array;
  readonly all: Float64Array;
  readonly #live: Float64Array;
  readonly #splits: readonly OpSplit[];

  constructor(splits: readonly OpSplit[], deviceCount: number) {
    this.#splits = splits;
    this.peak = new Float64Array(deviceCount);
    this.all = new Float64Array(deviceCount);
    this.#live = new Float64Array(deviceCount);
  }

  begin(op: number): void {
    const { outputBytes, devices } = this.#splits[op]!;
    for (let part = 0; part < outputBytes.length; part++) {
      const device = devices[part]!;
      this.all[device]! += outputBytes[part]!;
      this.#live[device]! += outputBytes[part]!;
      this.peak[device] = Math.max(this.peak[device]!, this.#live[device]!);
    }
  }

  /** What the parts of an op need one after the other. */
  pass(op: number): void {
    const { readBytes, devices } = this.#splits[op]!;
    for (let part = 0; part < readBytes.length; part++) {
      const device = devices[part]!;
      this.peak[device] = Math.max(this.peak[device]!, this.#live[device]! + readBytes[part]!);
    }
  }

  end(op: number): void {
    const { outputBytes, devices } = this.#splits[op]!;
    for (let part = 0; part < outputBytes.length; part++) this.#live[devices[part]!]! -= outputBytes[part]!;
  }
}
