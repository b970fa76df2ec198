import type { Random } from '../../soap/random.ts';

/** Values at which readers of integers go wrong: signs, limits of 32 and 53 bits, powers of two. */
const EDGES = [0n, 1n, 127n, 128n, 255n, 65_535n, 2n ** 31n - 1n, 2n ** 31n, 2n ** 32n - 1n, 2n ** 53n, 2n ** 64n - 1n];

/** What replaces a number, word or bracket in text. */
const WORDS = [
  '-1',
  '0',
  '1e999',
  '4294967296',
  '9007199254740993',
  'null',
  '""',
  '[]',
  '{}',
  'NaN',
  '"\\u0000"',
  '*a',
];

/** Longest stretch that one mutation removes, repeats or inserts. */
const MAX_STRETCH = 64;

type Mutation = (bytes: Uint8Array, random: Random, other: Uint8Array) => Uint8Array;

const MUTATIONS: readonly Mutation[] = [
  // A bit flipped.
  (bytes, random) => changed(bytes, (copy) => (copy[random.integer(copy.length)]! ^= 1 << random.integer(8))),
  // A byte of any value.
  (bytes, random) => changed(bytes, (copy) => (copy[random.integer(copy.length)] = random.integer(256))),
  // Cut off.
  (bytes, random) => bytes.subarray(0, random.integer(bytes.length + 1)),
  // A stretch left out.
  (bytes, random) => {
    const start = random.integer(bytes.length + 1);
    return joined(bytes.subarray(0, start), bytes.subarray(start + random.integer(MAX_STRETCH)));
  },
  // A stretch twice.
  (bytes, random) => {
    const start = random.integer(bytes.length + 1);
    const end = Math.min(bytes.length, start + random.integer(MAX_STRETCH));
    return joined(bytes.subarray(0, end), bytes.subarray(start));
  },
  // Noise put in.
  (bytes, random) => {
    const start = random.integer(bytes.length + 1);
    const noise = Uint8Array.from({ length: 1 + random.integer(8) }, () => random.integer(256));
    return joined(bytes.subarray(0, start), noise, bytes.subarray(start));
  },
  // The start of one input, the end of another.
  (bytes, random, other) =>
    joined(bytes.subarray(0, random.integer(bytes.length + 1)), other.subarray(random.integer(other.length + 1))),
  // An integer of 4 or 8 bytes at the edge of what it can hold.
  (bytes, random) => changed(bytes, (copy) => writeEdge(copy, random)),
  // A number or word of a text replaced.
  (bytes, random) => {
    const start = random.integer(bytes.length + 1);
    const word = new TextEncoder().encode(WORDS[random.integer(WORDS.length)]);
    return joined(bytes.subarray(0, start), word, bytes.subarray(start + random.integer(4)));
  },
];

/** An input with one to four mutations. Headers are near the start, so half of all inputs are changed only there. */
export function mutate(seed: Uint8Array, random: Random, other: Uint8Array): Uint8Array {
  const head = random.integer(2) === 0 ? Math.min(seed.length, 256) : seed.length;
  let bytes = seed.subarray(0, head);
  for (let count = 1 + random.integer(4); count > 0; count--) {
    bytes = MUTATIONS[random.integer(MUTATIONS.length)]!(bytes, random, other);
  }
  return joined(bytes, seed.subarray(head));
}

function changed(bytes: Uint8Array, change: (copy: Uint8Array) => void): Uint8Array {
  const copy = Uint8Array.from(bytes);
  if (copy.length > 0) change(copy);
  return copy;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

function writeEdge(copy: Uint8Array, random: Random): void {
  const value = EDGES[random.integer(EDGES.length)]!;
  const bytes = random.integer(2) === 0 ? 4 : 8;
  const start = random.integer(copy.length);
  const littleEndian = random.integer(2) === 0;
  for (let i = 0; i < bytes && start + i < copy.length; i++) {
    const shift = BigInt(8 * (littleEndian ? i : bytes - 1 - i));
    copy[start + i] = Number((value >> shift) & 255n);
  }
}
