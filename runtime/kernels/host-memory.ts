import type { OnnxDType } from '../../soap/onnx/model.ts';
import type { KernelEngine, TensorBuffer, TensorMemory } from './kernels.ts';

/** Buffers of engines that compute on the host: the memory that JavaScript sees is the buffer, so nothing is ever copied. */
export const HOST_BUFFERS: Pick<KernelEngine, 'allocate' | 'cut' | 'adopt' | 'upload' | 'download'> = {
  allocate: (dtype, elements): TensorBuffer => ({ dtype, length: elements, host: allocateShared(dtype, elements) }),
  cut: ({ dtype, host }, start, end) => ({ dtype, length: end - start, host: host.subarray(start, end) }),
  adopt: (host, dtype) => ({ dtype, length: host.length, host }),
  upload: () => Promise.resolve(),
  download: () => Promise.resolve(),
};

/**
 * Zeroed elements in an explicit buffer that never moves and that other threads can see, as native kernels need it.
 */
export function allocateShared(dtype: OnnxDType, elements: number): TensorMemory {
  switch (dtype) {
    case 'float32':
      return new Float32Array(new SharedArrayBuffer(4 * elements));
    case 'float64':
      return new Float64Array(new SharedArrayBuffer(8 * elements));
    case 'int64':
      return new BigInt64Array(new SharedArrayBuffer(8 * elements));
    case 'int32':
      return new Int32Array(new SharedArrayBuffer(4 * elements));
    case 'uint8':
    case 'bool':
      return new Uint8Array(new SharedArrayBuffer(elements));
  }
}
