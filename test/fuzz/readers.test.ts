import test from 'ava';
import { fuzz } from '../../bench/fuzz/fuzz.ts';
import { TARGETS } from '../../bench/fuzz/targets/index.ts';
import { FULL_RUN } from '../support/full-run.ts';

/** `npm run bench:fuzz` runs a million. */
const CASES = FULL_RUN ? 1000 : 150;

for (const target of TARGETS) {
  test(`${target.name}: ${CASES} mutated inputs are read or refused in a sentence, within memory`, async (t) => {
    t.teardown(() => target.close?.());
    const { accepted, refused, findings } = await fuzz(target, CASES, 20261126);
    t.deepEqual(findings, []);
    t.is(accepted + refused, CASES);
    t.true(refused > CASES / 10, `${refused} of ${CASES} were refused: the mutations do not reach the reader`);
  });
}

test('a crash, and a message that is no sentence, are findings', async (t) => {
  const seeds = (): Promise<Uint8Array[]> => Promise.resolve([Uint8Array.of(1)]);
  const crash = (): never => {
    throw new TypeError("Cannot read properties of undefined (reading 'x')");
  };
  const mumble = (): never => {
    throw new Error('bad');
  };
  for (const read of [crash, mumble]) {
    const { findings } = await fuzz({ name: 'broken', share: 1, seeds, read }, 10, 1);
    t.true(findings.length > 0);
  }
});
