/**
 * The golden matrix: every golden case under every strategy, beside PyTorch in float64, as docs/golden.md quotes it.
 *   npm run bench:golden                      twenty random strategies a case on each of 2 to 4 devices; some minutes
 *   npm run bench:golden -- --only gpt --random 5
 *   npm run bench:golden -- --provider cuda --twice   on a GPU, which all devices share; each trained twice, to the same bits
 * Exits 1 where a loss or a gradient is off by more than its case allows, or the bits differ.
 */
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { goldenCase, gradientNormError, relativeError, trainWithGradients } from '../test/support/train-in-memory.ts';
import { GOLDEN_CASES, GRADIENT_TOLERANCE } from './golden/cases.ts';
import { matrixCluster, matrixStrategies } from './golden/strategies.ts';
import { engineOf } from './shared/provider.ts';

const { values } = parseArgs({
  options: {
    only: { type: 'string' },
    random: { type: 'string', default: '20' },
    provider: { type: 'string', default: 'cpu' },
    twice: { type: 'boolean', default: false },
  },
});
const cases = GOLDEN_CASES.filter(({ name }) => values.only === undefined || name === values.only);
if (cases.length === 0) {
  console.error(`--only ${values.only} is no case; expected one of ${GOLDEN_CASES.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const { engine } = engineOf(values.provider);
let failures = 0;
console.log('| case | strategy | devices | steps | largest error of losses | of gradient norms |');
console.log('| --- | --- | --- | --- | --- | --- |');
for (const { name, tolerance, steps } of cases) {
  const golden = await goldenCase(name);
  const expected = golden.losses.slice(0, steps);
  for (const row of matrixStrategies(golden.loaded.training, Number(values.random), [2, 3, 4])) {
    const cluster = matrixCluster(row.devices);
    const train = (): ReturnType<typeof trainWithGradients> =>
      trainWithGradients(golden, cluster, row.strategy, engine, expected.length);
    const trained = await train();
    const lossError = relativeError(trained.losses, expected);
    const gradientError = gradientNormError(trained.gradientNorms, golden.gradientNorms);
    const isOff = !(lossError <= tolerance && gradientError <= GRADIENT_TOLERANCE);
    const differs = values.twice && !isDeepStrictEqual(await train(), trained);
    if (isOff || differs) failures++;
    const errors = [lossError, gradientError].map((error) => error.toExponential(1));
    const remarks = `${isOff ? ' off' : ''}${differs ? ' other bits the second time' : ''}`;
    console.log(`| ${[name, row.name, row.devices, expected.length, ...errors].join(' | ')} |${remarks}`);
  }
}
engine.close();
console.log(`${failures} rows are off by more than their case allows${values.twice ? ', or have other bits' : ''}`);
process.exitCode = failures > 0 ? 1 : 0;
