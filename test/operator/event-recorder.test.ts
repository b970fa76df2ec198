import test from 'ava';
import { ApiException } from '@kubernetes/client-node';
import { EventRecorder } from '../../operator/apply/event-recorder.ts';
import { inParallel } from '../../operator/apply/in-parallel.ts';
import type { JobEvent } from '../../operator/decide/types.ts';
import { jobResource } from '../support/kubernetes.ts';

const event = (message: string): JobEvent => ({ type: 'Normal', reason: 'Tested', message });
const answer = (code: number): ApiException<string> => new ApiException(code, 'answer', '{}', {});

interface Rig {
  readonly recorder: EventRecorder;
  readonly tried: string[];
  readonly errors: unknown[];
}

/** @param failures what the tries of each message throw, in order; then they succeed */
function rig(failures: Readonly<Record<string, readonly Error[]>> = {}): Rig {
  const [tried, errors]: [string[], unknown[]] = [[], []];
  const left = new Map(Object.entries(failures).map(([message, each]) => [message, [...each]]));
  const write = (_: unknown, { message }: JobEvent): Promise<void> => {
    tried.push(message);
    const failure = left.get(message)?.shift();
    return failure === undefined ? Promise.resolve() : Promise.reject(failure);
  };
  return { recorder: new EventRecorder(write, (error) => errors.push(error), 1, 0), tried, errors };
}

test('events are written in order, each again after a failure that may pass, never after a refusal', async (t) => {
  const { recorder, tried, errors } = rig({
    a: [answer(500), answer(429), new Error('connection reset')],
    b: [answer(403)],
  });
  recorder.record(jobResource(), [event('a'), event('b')]);
  recorder.record(jobResource(), [event('c')]);
  while (tried.at(-1) !== 'c') await new Promise(setImmediate);
  await recorder.stop(1000);
  t.deepEqual(tried, ['a', 'a', 'a', 'a', 'b', 'c']);
  t.is(errors.length, 1);
});

test('one that always fails is given up, and does not hold up those behind it', async (t) => {
  const { recorder, tried, errors } = rig({ a: Array.from({ length: 100 }, () => answer(500)) });
  recorder.record(jobResource(), [event('a'), event('b')]);
  while (!tried.includes('b')) await new Promise((resolve) => setTimeout(resolve, 1));
  t.is(tried.length, 13);
  t.is(errors.length, 1);
});

test('stopping writes what waits once; more than there is room for is dropped and told', async (t) => {
  const { recorder, tried, errors } = rig();
  recorder.record(
    jobResource(),
    Array.from({ length: 10_000 }, (_, i) => event(String(i))),
  );
  recorder.record(jobResource(), [event('x'), event('y')]);
  await recorder.stop(60_000);
  t.is(tried.length, 10_000);
  t.regex(String(errors[0]), /are dropped/);
  recorder.record(jobResource(), [event('late')]);
  t.false(tried.includes('late'));
});

test('of several at once, all have ended when one has failed', async (t) => {
  let ended = false;
  const slow = new Promise<void>((resolve) => {
    setTimeout(() => {
      ended = true;
      resolve();
    }, 20);
  });
  await t.throwsAsync(inParallel([Promise.reject(new Error('first')), slow]), { message: 'first' });
  t.true(ended);
});
