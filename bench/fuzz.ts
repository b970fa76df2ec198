/**
 * Feeds every reader of outside bytes with mutated inputs: each must be read or refused in a sentence, within memory.
 *   npm run bench:fuzz                        a million cases in all; about five minutes on one core
 *   npm run bench:fuzz -- --only onnx,idx     what these two have of that million
 *   npm run bench:fuzz -- --cases 20000 --seed 7
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
const asked = values.only?.split(',') ?? TARGETS.map(({ name }) => name);
const targets = TARGETS.filter(({ name }) => asked.includes(name));
if (targets.length < asked.length) {
  console.error(`--only ${values.only} has no target; expected some of ${TARGETS.map(({ name }) => name).join(',')}`);
  process.exit(2);
}
const shares = TARGETS.reduce((sum, { share }) => sum + share, 0);
let [total, found] = [0, 0];
console.log(
  '| target | cases | read | refused | other | cases/s | slowest |\n| --- | --- | --- | --- | --- | --- | --- |',
);
for (const target of targets) {
  const cases = Math.ceil((Number(values.cases) * target.share) / shares);
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
