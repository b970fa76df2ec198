import test from 'ava';
import { Conductor } from '../../runtime/program/conductor.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { MessageTag } from '../../runtime/transport/transport.ts';
import { taskGraph } from '../support/task-graphs.ts';

/** Passes of a training step, many more than a device remembers messages of. */
const PASSES = 100;

const SHARE = { lossSum: 2, lossCount: 1, correct: 0 };

/** What a task sends in the last pass of a step. */
const tagOf = (step: number): MessageTag => ({ step: (step + 1) * PASSES - 1, task: 0, round: 0 });

test('a result and the word on it may come when their receiver is at the end of the next step', async (t) => {
  const tasks = taskGraph([{ key: 0, durationUs: 1, resources: [0], predecessors: [] }], 2);
  const [first, second] = createMemoryTransports(2);
  const [leader, other] = [new Conductor(first!, tasks), new Conductor(second!, tasks)];
  const last = (step: number): number => tagOf(step).step;

  const total = leader.gather(last(0), SHARE);
  const ahead = first!.receive(1, tagOf(1), 1);
  await other.gather(last(0), SHARE);
  t.deepEqual(await total, { lossSum: 4, lossCount: 2, correct: 0 });
  await second!.send(0, tagOf(1), Uint8Array.of(1));
  await ahead;

  await other.gather(last(1), SHARE);
  const otherAhead = second!.receive(0, tagOf(2), 1);
  await leader.gather(last(1), SHARE);
  await first!.send(1, tagOf(2), Uint8Array.of(1));
  await otherAhead;
  await other.keepPace(true);
  await Promise.all([first!.close(), second!.close()]);
});
