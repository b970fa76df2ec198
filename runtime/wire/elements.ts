import type { WireType } from '../../soap/job/training-job.ts';
import type { Addition } from '../kernels/addition.ts';
import { addByValue } from '../kernels/addition.ts';

/** How float32 values travel between devices. Sums are float32 whatever travels. */
export interface WireElements {
  readonly bytesPerElement: number;
  /** The bytes of values; float32 gives their own memory. */
  pack(values: Float32Array): Uint8Array;
  /** The bytes of values, to be written as they come; absent where what travels is not the values themselves. */
  readonly bytesOf?: (values: Float32Array) => Uint8Array;
  /** Values that came; float32 gives the memory of the bytes. */
  unpack(bytes: Uint8Array): Float32Array;
  /** Writes values that came. */
  copy(bytes: Uint8Array, target: Float32Array): void;
  /** Adds values that came. */
  add(bytes: Uint8Array, target: Float32Array): void;
  /** Adds values that are here. */
  readonly addHere: Addition;
  /** Makes values what their receivers see. */
  round(values: Float32Array): void;
}

function bytesOf({ buffer, byteOffset, byteLength }: Float32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Values as they are. Bytes must begin at a multiple of 4. */
const float32Elements: Omit<WireElements, 'add' | 'addHere'> = {
  bytesPerElement: 4,
  pack: bytesOf,
  bytesOf,
  unpack: ({ buffer, byteOffset, byteLength }) => new Float32Array(buffer, byteOffset, byteLength / 4),
  copy: ({ buffer, byteOffset }, target) => target.set(new Float32Array(buffer, byteOffset, target.length)),
  round: () => undefined,
};

/**
 * The upper halves of float32 values, rounded to the nearest, ties to even: the bfloat16 of
 * https://www.intel.com/content/dam/develop/external/us/en/documents/bf16-hardware-numerics-definition-white-paper.pdf, but
 * with subnormals kept. NaN stays NaN. Bytes must begin at a multiple of 2.
 */
const bfloat16Elements: Omit<WireElements, 'addHere'> = {
  bytesPerElement: 2,
  pack(values) {
    const halves = new Uint16Array(values.length);
    const bits = bitsOf(values);
    const { length } = halves;
    for (let i = 0; i < length; i++) halves[i] = upperHalf(bits[i]!);
    return new Uint8Array(halves.buffer);
  },
  unpack(bytes) {
    const values = new Float32Array(bytes.byteLength / 2);
    this.copy(bytes, values);
    return values;
  },
  copy({ buffer, byteOffset }, target) {
    const halves = new Uint16Array(buffer, byteOffset, target.length);
    const bits = bitsOf(target);
    const { length } = halves;
    for (let i = 0; i < length; i++) bits[i] = halves[i]! << 16;
  },
  add({ buffer, byteOffset }, target) {
    const halves = new Uint16Array(buffer, byteOffset, target.length);
    const bits = new Uint32Array(1);
    const value = new Float32Array(bits.buffer);
    const { length } = halves;
    for (let i = 0; i < length; i++) {
      bits[0] = halves[i]! << 16;
      target[i]! += value[0]!;
    }
  },
  round(values) {
    const bits = bitsOf(values);
    const { length } = bits;
    for (let i = 0; i < length; i++) bits[i] = upperHalf(bits[i]!) << 16;
  },
};

const QUIET_NAN = 0x40;

function upperHalf(bits: number): number {
  const isNaN = (bits & 0x7fffffff) > 0x7f800000;
  return isNaN ? (bits >>> 16) | QUIET_NAN : (bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16;
}

function bitsOf({ buffer, byteOffset, length }: Float32Array): Uint32Array {
  return new Uint32Array(buffer, byteOffset, length);
}

/** The way of a name. @param addHere how float32 values are added */
export function wireElements(type: WireType, addHere: Addition = addByValue): WireElements {
  if (type === 'bfloat16') return { ...bfloat16Elements, addHere };
  return {
    ...float32Elements,
    add: ({ buffer, byteOffset }, target) => addHere(target, new Float32Array(buffer, byteOffset, target.length)),
    addHere,
  };
}
