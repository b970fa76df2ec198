/** The divisors of a positive integer that are at most a bound, ascending. */
export function divisorsUpTo(value: number, bound: number): number[] {
  const divisors: number[] = [];
  for (let candidate = 1; candidate <= Math.min(value, bound); candidate++) {
    if (value % candidate === 0) divisors.push(candidate);
  }
  return divisors;
}

/** The largest divisor of a positive integer that is at most a bound. */
export function largestDivisor(value: number, bound: number): number {
  return divisorsUpTo(value, bound).at(-1)!;
}

/** The greatest common divisor of two whole numbers. Source: Euclid, "Elements", book VII, proposition 2. */
export function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
