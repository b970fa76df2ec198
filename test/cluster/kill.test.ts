import test from 'ava';
import { killController } from '../support/cluster/kill-controller.ts';
import { FULL_RUN } from '../support/full-run.ts';

test.serial(
  'a controller killed at random points: every job ends the same, never two sets of pods, never an orphan',
  async (t) => {
    const kills = FULL_RUN ? 12 : 6;
    const { complete, doubled, orphans } = await killController(kills, 1);
    t.is(complete, kills);
    t.deepEqual([doubled, orphans], [[], []]);
  },
);
