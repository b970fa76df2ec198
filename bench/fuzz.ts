/**
 * Feeds every reader of outside bytes with mutated inputs: each must be read or refused in a sentence, within memory.
 *   npm run bench:fuzz                        a million cases in all; many minutes
 *   npm run bench:fuzz -- --cases 20000 --seed 7 --only onnx
 * Exits 1 where a case ended in anything else, and prints it.
 */
import { parseArgs } from 'node:util';
import { fuzz } from './fuzz/fuzz.ts';
import { TARGETS } from './fuzz/targets/index.ts';

const { values } = parseArgs({
  options: {
    cases: { type: 'string', default: '1000000' },
    seed: { type: 'string', default: '1' },
    only: { type: 'string' },
  },
});
const targets = TARGETS.filter(({ name }) => values.only === undefined || name === values.only);
if (targets.length === 0) {
  console.error(`--only ${values.only} is no target; expected one of ${TARGETS.map(({ name }) => name).join(', ')}`);
  process.exit(2);
}
const shares = targets.reduce((sum, { share = 1 }) => sum + share, 0);
let [total, found] = [0, 0];
console.log(
  '| target | cases | read | refused | other | cases/s | slowest |\n| --- | --- | --- | --- | --- | --- | --- |',
);
for (const target of targets) {
  const cases = Math.ceil((Number(values.cases) * (target.share ?? 1)) / shares);
  const { accepted, refused, seconds, slowestMs, findings } = await fuzz(target, cases, Number(values.seed));
  await target.close?.();
  const counts = [cases, accepted, refused, findings.length].map((count) => count.toLocaleString('en'));
  const rate = Math.round(cases / seconds).toLocaleString('en');
  console.log(`| ${[target.name, ...counts, rate, `${slowestMs.toFixed(0)} ms`].join(' | ')} |`);
  for (const { what, input } of findings) console.error(`${target.name}: ${what}\n  input: ${input.slice(0, 2000)}`);
  total += cases;
  found += findings.length;
}
console.log(`${total.toLocaleString('en')} cases, ${found} ended neither in success nor in a sentence`);
process.exitCode = found > 0 ? 1 : 0;
