import type { KernelEngine } from '../../runtime/kernels/kernels.ts';
import { createReferenceEngine } from '../../runtime/kernels/reference/engine.ts';
import type { OpCase } from './op-case.ts';
import { buildCase, titleOf } from './op-case.ts';
import { differences } from './op-checks.ts';
import { runSplit, runWhole, splitsAlongOne } from './op-splits.ts';

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

/** What an op, whole and split along each dimension alone, has that the reference has not: a sentence each. */
export async function problemsOf(each: OpCase, engine: KernelEngine): Promise<string[]> {
  const built = buildCase(each);
  const whole = await runWhole(built, { engine: createReferenceEngine() });
  const problems: string[] = [];
  for (const degrees of splitsAlongOne(built)) {
    const found = differences(await runSplit(built, degrees, { engine }), whole, gpuTolerance(titleOf(each)));
    problems.push(...found.map((problem) => `[${degrees}]: ${problem}`));
  }
  return problems;
}
