/**
 * Every op on a GPU: forward and backward, whole and split along each dimension, against the reference, and to the same bits twice.
 *   npm run bench:ops -- --provider cuda
 * Exits 1 where one is off, refused, or has other bits the second time.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { createReferenceEngine } from '../runtime/kernels/reference/engine.ts';
import { OP_CASES } from '../test/support/op-cases/index.ts';
import { gpuTolerance } from '../test/support/op-on-gpu.ts';
import { buildCase, titleOf } from '../test/support/op-case.ts';
import { differences } from '../test/support/op-checks.ts';
import { runSplit, runWhole, splitsAlongOne } from '../test/support/op-splits.ts';
import { engineOf } from './shared/provider.ts';
import { messageOf } from '../soap/message-of.ts';

const { values } = parseArgs({ options: { provider: { type: 'string', default: 'auto' } } });
const { provider, engine } = engineOf(values.provider);
const reference = createReferenceEngine();
let [runs, failures] = [0, 0];
for (const each of OP_CASES) {
  const built = buildCase(each);
  const whole = await runWhole(built, { engine: reference });
  for (const degrees of splitsAlongOne(built)) {
    runs++;
    const problem = await problemOf(degrees);
    if (problem === undefined) continue;
    failures++;
    console.log(`${titleOf(each)} [${degrees}]: ${problem}`);
  }

  async function problemOf(degrees: readonly number[]): Promise<string | undefined> {
    try {
      const first = await runSplit(built, degrees, { engine });
      const found = differences(first, whole, gpuTolerance(titleOf(each)));
      if (found.length > 0) return found.join('; ');
      return isDeepStrictEqual(await runSplit(built, degrees, { engine }), first)
        ? undefined
        : 'other bits the second time';
    } catch (error) {
      return messageOf(error);
    }
  }
}
engine.close();
console.log(`${provider}: ${runs} runs of ${OP_CASES.length} cases, ${failures} not as the reference`);
process.exitCode = failures > 0 ? 1 : 0;
