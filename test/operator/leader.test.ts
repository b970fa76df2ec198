import { setTimeout as sleep } from 'node:timers/promises';
import { CoreV1Api } from '@kubernetes/client-node';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { RequestObserver } from '../../operator/leader/guarded-config.ts';
import { guardedConfig } from '../../operator/leader/guarded-config.ts';
import type { LeaseTimes } from '../../operator/leader/lease.ts';
import { Leader } from '../../operator/leader/lease.ts';
import { FakeLease } from '../support/fake-lease.ts';

/** So long that a busy machine loses nothing. */
const LONG = { leaseMs: 120_000, deadlineMs: 60_000, retryMs: 50 };
const SHORT = { leaseMs: 1500, deadlineMs: 1000, retryMs: 50 };

interface Rig {
  readonly api: FakeLease;
  /** `told` hears of each term's begin and end. */
  readonly contender: (identity: string, told?: string[], mayBegin?: () => boolean) => Promise<Leader>;
}

async function rig(t: ExecutionContext, times: LeaseTimes, timeoutMs: number = 30_000): Promise<Rig> {
  const api = new FakeLease();
  const kubeConfig = await api.start();
  t.teardown(() => api.stop());
  const contender = (identity: string, told: string[] = [], mayBegin = (): boolean => true): Promise<Leader> => {
    const leader = new Leader({
      config: guardedConfig(kubeConfig, () => true, undefined, timeoutMs),
      namespace: 'default',
      name: 'lease',
      identity,
      times,
      mayBegin,
      onGained: () => void told.push('gained'),
      onLost: () => void told.push('lost'),
      onError: () => undefined,
    });
    leader.start();
    t.teardown(() => leader.stop());
    return Promise.resolve(leader);
  };
  return { api, contender };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (condition()) return;
    await sleep(10);
  }
  throw new Error(`never came true: ${condition.toString()}`);
}

test('of several that want to lead at once, one does', async (t) => {
  const { contender } = await rig(t, LONG);
  const all = await Promise.all(['a', 'b', 'c'].map((name) => contender(name)));
  await until(() => all.some((leader) => leader.holds()));
  for (let i = 0; i < 50; i++) {
    t.true(all.filter((leader) => leader.holds()).length <= 1);
    await sleep(20);
  }
});

test('a leader that stops gives the lease back, and another takes it without waiting for its end', async (t) => {
  const { api, contender } = await rig(t, LONG);
  const first = await contender('first');
  await until(() => first.holds());
  const second = await contender('second');
  await first.stop();
  t.false(first.holds());
  t.not(api.holder, 'first');
  await until(() => second.holds());
  t.is(api.holder, 'second');
});

test('a leader that cannot renew stops acting before its lease is over, and leads again when it can', async (t) => {
  const { api, contender } = await rig(t, SHORT, 300);
  const leader = await contender('a');
  await until(() => leader.holds());
  api.hangs = true;
  await until(() => !leader.holds());
  t.is(api.holder, 'a', 'nobody has taken it: it stopped by its own clock');
  api.hangs = false;
  await until(() => leader.holds());
  t.pass();
});

test('a process that was paused for longer than its lease does not write when it goes on', async (t) => {
  const { contender } = await rig(t, SHORT, 300);
  const leader = await contender('a');
  await until(() => leader.holds());
  const endMs = performance.now() + SHORT.deadlineMs + 50;
  while (performance.now() < endMs);
  t.false(leader.holds());
});

test('a leader that was away while another led and gave the lease back begins a new term', async (t) => {
  const { api, contender } = await rig(t, LONG);
  const told: string[] = [];
  const leader = await contender('a', told);
  await until(() => leader.holds());
  api.giveBack();
  await until(() => api.holder === 'a');
  await until(() => told.length > 2);
  t.deepEqual(told, ['gained', 'lost', 'gained']);
});

test('whoever may not begin takes no lease, neither a new one nor one that is free or its own; a term that began goes on', async (t) => {
  const { api, contender } = await rig(t, SHORT, 300);
  let mayBegin = false;
  const leader = await contender('a', [], () => mayBegin);
  const waits = async (): Promise<void> => {
    const { requests } = api;
    await until(() => api.requests > requests + 3);
    t.false(leader.holds());
  };
  await waits();
  t.is(api.holder, undefined, 'no lease is made');
  mayBegin = true;
  await until(() => leader.holds());
  mayBegin = false;
  await sleep(SHORT.leaseMs);
  t.true(leader.holds(), 'it renews');

  api.hangs = true;
  await until(() => !leader.holds());
  api.hangs = false;
  await waits();
  t.is(api.holder, 'a', 'by the lease its term is not over');
  api.giveBack();
  await waits();
  t.is(api.holder, '');
  mayBegin = true;
  await until(() => leader.holds());
});

test('what is not leading may read and not write; a request without an answer ends', async (t) => {
  const own = new FakeLease();
  const config = await own.start();
  t.teardown(() => own.stop());
  const heard: string[] = [];
  const observer: RequestObserver = {
    onRequest: (method) => void heard.push(method),
    onAnswer: (method, code) => void heard.push(`${method} ${code}`),
  };
  const core = guardedConfig(config, () => false, observer, 30_000).makeApiClient(CoreV1Api);
  await t.throwsAsync(core.deleteNamespacedPod({ namespace: 'n', name: 'p' }), { message: /does not lead any more/ });
  await t.throwsAsync(core.readNamespacedPod({ namespace: 'n', name: 'p' }), { message: /404/ });
  t.deepEqual(heard.splice(0), ['GET', 'GET 404'], 'what may not be written is no request');
  own.hangs = true;
  const hasty = guardedConfig(config, () => false, observer, 100).makeApiClient(CoreV1Api);
  const error: unknown = await hasty
    .readNamespacedPod({ namespace: 'n', name: 'p' })
    .catch((thrown: unknown) => thrown);
  t.regex(String(error), /timeout/i);
  t.deepEqual(heard, ['GET', 'GET <error>']);
});

test('requests one after the other share a connection', async (t) => {
  const own = new FakeLease();
  const config = await own.start();
  t.teardown(() => own.stop());
  const core = guardedConfig(config, () => true, undefined, 30_000).makeApiClient(CoreV1Api);
  for (let i = 0; i < 20; i++) await t.throwsAsync(core.readNamespacedPod({ namespace: 'n', name: 'p' }));
  // The second request may come before the first connection is free again.
  t.true(own.connections <= 2, `${own.connections} connections`);
});
