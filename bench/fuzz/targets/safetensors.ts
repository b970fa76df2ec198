import { decodeSafetensors, encodeSafetensors, SafetensorsError } from '../../../soap/safetensors/safetensors.ts';
import { structuredSafetensors } from '../structured/documents.ts';
import type { FuzzTarget } from '../target.ts';

/** The safetensors format, as a whole. */
export const safetensors: FuzzTarget = {
  name: 'safetensors',
  share: 100,
  refusals: [SafetensorsError],
  seeds() {
    const tensors = new Map([
      ['weight/fc', { dtype: 'float32' as const, shape: [2, 3], data: Float32Array.of(1, 2, 3, 4, 5, 6) }],
      ['targets', { dtype: 'int64' as const, shape: [2], data: BigInt64Array.of(1n, 2n) }],
      ['empty', { dtype: 'uint8' as const, shape: [0], data: new Uint8Array() }],
    ]);
    const files = [encodeSafetensors(tensors, { step: '3' }), encodeSafetensors(new Map())];
    return Promise.resolve(files.map((parts) => Buffer.concat(parts)));
  },
  structured: structuredSafetensors,
  read(bytes) {
    decodeSafetensors(bytes);
  },
};
