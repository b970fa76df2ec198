/** Beyond this |erf| is 1 in float64. */
const SATURATION = 6;

/**
 * The error function, to about 1e-15: erf x = 2/sqrt(pi) exp(-x^2) sum 2^n x^(2n+1) / (2n+1)!!, whose terms have one sign.
 * Source: NIST Digital Library of Mathematical Functions, 7.6.2, https://dlmf.nist.gov/7.6#E2
 */
export function erf(x: number): number {
  if (Math.abs(x) >= SATURATION) return Math.sign(x);
  let [sum, term] = [x, x];
  for (let n = 1; Math.abs(term) > Number.EPSILON * Math.abs(sum) * 0.1; n += 1) {
    term *= (2 * x * x) / (2 * n + 1);
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}
