import type { KernelEngine, TensorBuffer } from '../../kernels/kernels.ts';

/** The elements of a buffer from `start` to `end`; only of an engine that cuts buffers where these are not all. */
export function bufferRange(engine: KernelEngine, buffer: TensorBuffer, start: number, end: number): TensorBuffer {
  return end - start === buffer.length ? buffer : engine.cut!(buffer, start, end);
}
