/** A seeded source of randomness whose state can be saved, so that a seed fixes everything drawn from it. */
export interface Random {
  /** Uniform in [0, 1), 53 bits. */
  next(): number;
  /** Uniform in 0 ... bound - 1. */
  integer(bound: number): number;
  /** Standard normal. */
  normal(): number;
  /** Four 32-bit words; `createRandom(state)` continues from here. */
  state(): readonly number[];
}

/**
 * xoshiro128** seeded by splitmix32.
 * Source: Blackman and Vigna, "Scrambled linear pseudorandom number generators", https://prng.di.unimi.it/
 */
export function createRandom(seed: number | readonly number[]): Random {
  const words = typeof seed === 'number' ? seedWords(seed) : seed;
  let [a, b, c, d] = [words[0]! >>> 0, words[1]! >>> 0, words[2]! >>> 0, words[3]! >>> 0];

  function word(): number {
    const result = Math.imul(rotateLeft(Math.imul(b, 5), 7), 9) >>> 0;
    const t = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= t;
    d = rotateLeft(d, 11);
    return result;
  }

  const next = (): number => ((word() >>> 5) * 2 ** 26 + (word() >>> 6)) / 2 ** 53;
  return {
    next,
    integer: (bound) => Math.floor(next() * bound),
    // Box and Muller; 1 - next() is never 0.
    normal: () => Math.sqrt(-2 * Math.log(1 - next())) * Math.cos(2 * Math.PI * next()),
    state: () => [a >>> 0, b >>> 0, c >>> 0, d >>> 0],
  };
}

/** A seed for one of several independent uses of a job's seed. */
export function deriveSeed(seed: number, use: number): number {
  return createRandom(createRandom(seed).integer(2 ** 32) + use).integer(2 ** 32);
}

/** 0 ... count - 1 in random order (Fisher and Yates). */
export function shuffled(count: number, random: Random): number[] {
  const order = Array.from({ length: count }, (_, i) => i);
  shuffle(order, random);
  return order;
}

/** Puts elements in random order, with the same draws as {@link shuffled}. */
export function shuffle(elements: number[] | Uint32Array, random: Random): void {
  for (let i = elements.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [elements[i], elements[j]] = [elements[j]!, elements[i]!];
  }
}

function seedWords(seed: number): number[] {
  let state = (seed >>> 0) ^ Math.floor(seed / 2 ** 32);
  return [0, 0, 0, 0].map(() => {
    state = (state + 0x9e3779b9) | 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    return (z ^ (z >>> 15)) >>> 0;
  });
}

function rotateLeft(x: number, k: number): number {
  return (x << k) | (x >>> (32 - k));
}
