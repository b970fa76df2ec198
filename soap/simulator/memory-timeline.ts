import type { LiveTensor } from './live-tensors.ts';

/** Memory of an op on a device. */
export interface OpMemory {
  readonly op: number;
  readonly bytes: number;
}

/** The memory that one device needs in the course of an iteration. */
export interface DeviceMemory {
  readonly device: number;
  /** From `timesUs[i]` to the next time, `bytes[i]` are live; the times ascend from 0. */
  readonly timesUs: Float64Array;
  readonly bytes: Float64Array;
  readonly peakBytes: number;
  /** When the peak is first reached. */
  readonly peakUs: number;
  /** What is live then, by op, largest first. */
  readonly peakOps: readonly OpMemory[];
  /** All that is live at any time. */
  readonly allBytes: number;
  /** The same by op, largest first. */
  readonly allOps: readonly OpMemory[];
}

/**
 * The memory of every device over time, from what is live when.
 *
 * Whether a plan fits is decided by `programMemory` and not by the peak: what is live at different times shares memory as far as
 * its sizes allow.
 */
export function memoryTimeline(tensors: readonly LiveTensor[], deviceCount: number): DeviceMemory[] {
  const byDevice = Map.groupBy(tensors, ({ device }) => device);
  return Array.from({ length: deviceCount }, (_, device) => deviceMemory(device, byDevice.get(device) ?? []));
}

function deviceMemory(device: number, tensors: readonly LiveTensor[]): DeviceMemory {
  const changes = new Map([[0, 0]]);
  const change = (timeUs: number, bytes: number): void => void changes.set(timeUs, (changes.get(timeUs) ?? 0) + bytes);
  for (const { fromUs, toUs, bytes } of tensors) {
    change(fromUs, bytes);
    change(toUs, -bytes);
  }
  const timesUs = Float64Array.from(changes.keys()).sort();
  const bytes = new Float64Array(timesUs.length);
  let peak = 0;
  timesUs.forEach((timeUs, i) => {
    bytes[i] = (bytes[i - 1] ?? 0) + changes.get(timeUs)!;
    if (bytes[i] > bytes[peak]!) peak = i;
  });
  const peakUs = timesUs[peak]!;
  return {
    device,
    timesUs,
    bytes,
    peakBytes: bytes[peak]!,
    peakUs,
    peakOps: byOp(tensors.filter(({ fromUs, toUs }) => fromUs <= peakUs && peakUs < toUs)),
    allBytes: tensors.reduce((sum, tensor) => sum + tensor.bytes, 0),
    allOps: byOp(tensors),
  };
}

function byOp(tensors: readonly LiveTensor[]): OpMemory[] {
  const sums = new Map<number, number>();
  for (const { op, bytes } of tensors) sums.set(op, (sums.get(op) ?? 0) + bytes);
  return Array.from(sums, ([op, bytes]) => ({ op, bytes })).sort((a, b) => b.bytes - a.bytes || a.op - b.op);
}
