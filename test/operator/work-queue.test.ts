import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { WorkQueue } from '../../operator/watch/work-queue.ts';

test('a key added many times while it waits or is visited is visited once more, never twice at once', async (t) => {
  let [visits, under, most] = [0, 0, 0];
  const queue = new WorkQueue(
    async () => {
      under += 1;
      most = Math.max(most, under);
      visits += 1;
      await sleep(20);
      under -= 1;
      return {};
    },
    () => t.fail(),
  );
  for (let i = 0; i < 10; i++) queue.add('a');
  await sleep(5);
  for (let i = 0; i < 10; i++) queue.add('a');
  await sleep(100);
  t.is(visits, 2);
  t.is(most, 1);
  await queue.stop();
});

test('a failed visit is repeated until it succeeds; a failure of one key does not hold up another', async (t) => {
  const visited: string[] = [];
  let failures = 0;
  const queue = new WorkQueue(
    async (key) => {
      visited.push(key);
      if (key === 'bad' && failures < 2) throw new Error('no');
      return Promise.resolve({});
    },
    () => (failures += 1),
  );
  queue.add('bad');
  queue.add('good');
  for (let i = 0; i < 100 && visited.filter((key) => key === 'bad').length < 3; i++) await sleep(20);
  t.is(failures, 2);
  t.deepEqual(visited.slice(0, 2), ['bad', 'good']);
  await queue.stop();
});

test('a visit can ask for another later; after stop nothing is visited', async (t) => {
  const visited: string[] = [];
  const queue = new WorkQueue(
    (key) => Promise.resolve({ requeueAfterMs: visited.push(key) < 3 ? 5 : undefined }),
    () => t.fail(),
  );
  queue.add('a');
  for (let i = 0; i < 100 && visited.length < 3; i++) await sleep(10);
  t.is(visited.length, 3);
  await queue.stop();
  queue.add('a');
  await sleep(20);
  t.is(visited.length, 3);
});

test('a visit that is asked for in more days than a timer waits does not come at once', async (t) => {
  const visited: string[] = [];
  const queue = new WorkQueue(
    (key) => Promise.resolve({ requeueAfterMs: visited.push(key) === 0 ? 0 : undefined }),
    () => t.fail(),
  );
  queue.addAfter('far', 2 ** 31);
  queue.addAfter('near', 50);
  for (let i = 0; i < 1000 && visited.length === 0; i++) await sleep(10);
  t.deepEqual(visited, ['near']);
  await queue.stop();
});
