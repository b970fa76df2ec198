/** An observation that is thought to be a sum of terms, each times an unknown. */
export interface Observation {
  readonly terms: readonly number[];
  readonly value: number;
}

/** Solves a system of linear equations by elimination with row exchange. */
export function solveLinear(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]!]);
  const size = rows.length;
  for (let column = 0; column < size; column++) {
    let pivot = column;
    for (let row = column; row < size; row++) {
      if (Math.abs(rows[row]![column]!) > Math.abs(rows[pivot]![column]!)) pivot = row;
    }
    [rows[column], rows[pivot]] = [rows[pivot]!, rows[column]!];
    for (let row = column + 1; row < size; row++) {
      const factor = rows[row]![column]! / rows[column]![column]!;
      for (let k = column; k <= size; k++) rows[row]![k]! -= factor * rows[column]![k]!;
    }
  }
  const solution = Array.from({ length: size }, () => 0);
  for (let row = size - 1; row >= 0; row--) {
    let rest = rows[row]![size]!;
    for (let k = row + 1; k < size; k++) rest -= rows[row]![k]! * solution[k]!;
    solution[row] = rest / rows[row]![row]!;
  }
  return solution;
}

/**
 * The unknowns that fit observations best, by least squares of relative errors, each pulled a little towards a guess, which it
 * keeps where the observations say nothing of it. None is taken below a tenth of its guess.
 * @param floor what is added to a value before errors are taken relative to it, so that small ones do not rule
 */
export function fitLinear(observations: readonly Observation[], guess: readonly number[], floor: number): number[] {
  const size = guess.length;
  const normal = guess.map((_, i) => guess.map((__, k) => (i === k ? PULL / guess[i]! ** 2 : 0)));
  const right = guess.map((each) => PULL / each);
  for (const { terms, value } of observations) {
    const weight = 1 / (value + floor) ** 2;
    for (let i = 0; i < size; i++) {
      for (let k = 0; k < size; k++) normal[i]![k]! += weight * terms[i]! * terms[k]!;
      right[i]! += weight * terms[i]! * value;
    }
  }
  return solveLinear(normal, right).map((each, i) => Math.max(each, LEAST_OF_GUESS * guess[i]!));
}

/** Observations that a guess counts for, when off by as much as it is. */
const PULL = 0.01;
const LEAST_OF_GUESS = 0.1;
