import type { Random } from '../../../soap/random.ts';
import type { StructuredMutation } from '../target.ts';
import { mutateJson } from './json.ts';

/** Bytes of a safetensors file before its header: the header's length. */
const LENGTH_BYTES = 8;

/** Mutates texts by what they say. Texts that `parse` takes are written as JSON, which readers of YAML take too. */
export function structuredText(parse: (text: string) => unknown): StructuredMutation {
  const known = new Map<Uint8Array, unknown>();
  return (seed, random) => {
    if (!known.has(seed)) known.set(seed, parse(new TextDecoder().decode(seed)));
    return encoded(known.get(seed), random);
  };
}

/** Mutates the headers of safetensors files; their length fits, and the data stay as they are. */
export const structuredSafetensors: StructuredMutation = (seed, random) => {
  const bytes = new DataView(seed.buffer, seed.byteOffset).getUint32(0, true);
  const end = LENGTH_BYTES + bytes;
  const header: unknown = JSON.parse(new TextDecoder().decode(seed.subarray(LENGTH_BYTES, end)));
  const text = encoded(header, random);
  const length = Buffer.alloc(LENGTH_BYTES);
  length.writeUInt32LE(text.length);
  return Buffer.concat([length, text, seed.subarray(end)]);
};

function encoded(value: unknown, random: Random): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(mutateJson(value, random)) ?? '');
}
