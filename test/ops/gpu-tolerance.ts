/** Relative to the largest element of a tensor: what another order of float32 sums may change. */
const TOLERANCE = 1e-5;

/** WGSL lets sin and cos be off by 2^-11 within [-pi, pi]. Source: WGSL specification, "Accuracy of Concrete Floating Point Expressions". */
const TOLERANCES = new Map([
  ['sin', 2 ** -11],
  ['cos', 2 ** -11],
]);

/** How far an op on a GPU may be off the reference, by the title of its case. */
export function gpuTolerance(title: string): number {
  return TOLERANCES.get(title) ?? TOLERANCE;
}
