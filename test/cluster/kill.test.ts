import process from 'node:process';
import test from 'ava';
import { killController } from './harness/kill-controller.ts';

test('a controller killed at random points: every job ends the same, never two sets of pods, never an orphan', async (t) => {
  const kills = process.env['SOAPSTONE_TESTS'] === 'full' ? 20 : 6;
  const { complete, doubled, orphans } = await killController(kills, 1);
  t.is(complete, kills);
  t.deepEqual([doubled, orphans], [[], []]);
});
