import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { InformerTimes } from '../../operator/watch/informer.ts';
import { Informer } from '../../operator/watch/informer.ts';
import type { FakeObject, Fault } from '../support/fake-api.ts';
import { FakeApi } from '../support/fake-api.ts';
import { FULL_RUN } from '../support/full-run.ts';

const TIMES = {
  firstDelayMs: 10,
  maxDelayMs: 50,
  listTimeoutMs: 30_000,
  relistMs: 600_000,
  shortestWatchMs: 0,
  silenceMs: 30_000,
};

interface Rig {
  readonly api: FakeApi;
  readonly informer: Informer<FakeObject>;
  readonly told: string[];
  readonly errors: unknown[];
  readonly start: () => Promise<void>;
}

interface RigOptions extends Partial<InformerTimes> {
  readonly optional?: boolean;
  readonly onChange?: () => void;
  readonly onRecovered?: () => void;
  readonly isGone?: () => Promise<boolean>;
}

async function rig(
  t: ExecutionContext,
  { optional = false, onChange, onRecovered, isGone, ...times }: RigOptions = {},
): Promise<Rig> {
  const api = new FakeApi();
  const told: string[] = [];
  const errors: unknown[] = [];
  const informer = new Informer<FakeObject>({
    config: await api.start(),
    path: '/apis/test/v1/things',
    times: { ...TIMES, ...times },
    optional,
    ...(onRecovered && { onRecovered }),
    ...(isGone && { isGone }),
    onChange: (object) => {
      told.push(object.metadata.uid);
      onChange?.();
    },
    onError: (error) => errors.push(error),
  });
  t.teardown(async () => {
    await informer.stop();
    await api.stop();
  });
  const start = async (): Promise<void> => {
    informer.start();
    await informer.synced;
    await until(() => api.openWatches() === 1);
  };
  return { api, informer, told, errors, start };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 2000; i++) {
    if (condition()) return;
    await sleep(10);
  }
  throw new Error(`never came true: ${condition.toString()}`);
}

const uids = (informer: Informer<FakeObject>): string[] => informer.all().map(({ metadata }) => metadata.uid);

const status =
  (code: number): Fault =>
  (response) => {
    response.writeHead(code).end(JSON.stringify({ kind: 'Status', code }));
    return true;
  };
const reset: Fault = (response) => {
  response.socket?.resetAndDestroy();
  return true;
};
/** Leaves the request open without an answer. */
const hang: Fault = () => true;

test('a watch brings every addition, change and deletion, in order', async (t) => {
  const { api, informer, told, start } = await rig(t);
  api.put('a', 'a1');
  await start();
  api.put('b', 'b1');
  api.put('a', 'a1');
  api.remove('b');
  await until(() => told.length === 4);
  t.deepEqual(told, ['a1', 'b1', 'a1', 'b1']);
  t.deepEqual(uids(informer), ['a1']);
  t.deepEqual(informer.get('default', 'a')?.metadata.uid, 'a1');
});

test('a large collection is listed in pages', async (t) => {
  const { api, informer, start } = await rig(t);
  for (let i = 0; i < 1234; i++) api.put(`n${i}`, `u${i}`);
  await start();
  t.is(informer.all().length, 1234);
  t.is(api.lists, 3);
  t.deepEqual(Object(informer.get('default', 'n1233')).kind, 'Thing');
});

for (const code of [500, 429, 401, 410]) {
  for (const kind of ['list', 'watch'] as const) {
    test(`after some answers ${code} to a ${kind} the cache is true again`, async (t) => {
      const { api, informer, errors, start } = await rig(t);
      api.put('a', 'a1');
      let failures = 3;
      api.fault = (response, asked) => asked === kind && failures-- > 0 && status(code)(response, asked);
      await start();
      t.is(errors.length, 3);
      api.put('b', 'b1');
      await until(() => informer.all().length === 2);
      t.deepEqual(uids(informer), ['a1', 'b1']);
    });
  }
}

for (const [name, fault] of Object.entries({ reset, hang })) {
  test(`a list that meets ${name} is asked again`, async (t) => {
    // Only a list that hangs may be cut short: on a busy machine an honest one takes long too.
    const { api, informer, errors, start } = await rig(t, fault === hang ? { listTimeoutMs: 1000 } : {});
    api.put('a', 'a1');
    let failures = 2;
    api.fault = (response, kind) => failures-- > 0 && fault(response, kind);
    await start();
    t.is(errors.length, 2);
    t.deepEqual(uids(informer), ['a1']);
  });
}

test('after a reset of the connection what was missed is found by listing', async (t) => {
  const { api, informer, told, start } = await rig(t);
  api.put('a', 'a1');
  api.put('b', 'b1');
  await start();
  api.remove('a', true);
  api.put('c', 'c1', true);
  api.closeWatches('reset');
  await until(() => uids(informer).join(' ') === 'b1 c1');
  t.deepEqual(told, ['a1', 'b1', 'a1', 'c1']);
});

test('a watch that ends in good order is continued without a list', async (t) => {
  const { api, informer, errors, start } = await rig(t);
  await start();
  for (let i = 0; i < 3; i++) {
    const before = api.watches;
    api.closeWatches('end');
    await until(() => api.watches > before && api.openWatches() === 1);
  }
  api.put('a', 'a1');
  await until(() => informer.all().length === 1);
  t.is(api.lists, 1);
  t.deepEqual(errors, []);
});

test('an ERROR event, as of a version too old, leads to a list', async (t) => {
  const { api, informer, errors, start } = await rig(t);
  await start();
  api.put('a', 'a1', true);
  api.send({ type: 'ERROR', object: { kind: 'Status', code: 410, message: 'too old resource version' } });
  await until(() => informer.all().length === 1);
  t.is(api.lists, 2);
  t.regex(String(errors[0]), /410 too old resource version/);
});

test('an object deleted and made again while the watch was down is told of twice: the old and the new', async (t) => {
  const { api, informer, told, start } = await rig(t);
  api.put('a', 'first');
  await start();
  api.remove('a', true);
  api.put('a', 'second', true);
  api.closeWatches('reset');
  await until(() => uids(informer)[0] === 'second');
  t.deepEqual(told, ['first', 'first', 'second']);
});

test('a callback that throws is reported, and the watch goes on', async (t) => {
  const { api, informer, errors, start } = await rig(t, {
    onChange: () => {
      throw new Error('callback');
    },
  });
  api.put('a', 'a1');
  await start();
  api.put('b', 'b1');
  await until(() => informer.all().length === 2);
  t.is(errors.length, 2);
});

test('started twice it watches once; stopped it asks no more, whatever it was doing', async (t) => {
  const { api, informer, start } = await rig(t);
  informer.start();
  await start();
  t.is(api.watches, 1);
  await informer.stop();
  await until(() => api.openWatches() === 0);
  const { lists, watches } = api;
  await sleep(150);
  t.deepEqual([api.lists, api.watches], [lists, watches]);

  for (const fault of [hang, reset, status(500)]) {
    const other = await rig(t);
    other.api.fault = fault;
    other.informer.start();
    await until(() => other.api.lists > 0);
    await other.informer.stop();
    // What was on its way when it stopped may still arrive.
    await sleep(50);
    const asked = other.api.lists;
    await sleep(100);
    t.is(other.api.lists, asked);
  }
});

test('a server that closes every watch at once is asked with growing pauses', async (t) => {
  const api = new FakeApi();
  const config = await api.start();
  const times = { ...TIMES, firstDelayMs: 40, maxDelayMs: 10_000, shortestWatchMs: 1000 };
  api.fault = (response, kind) => {
    if (kind === 'watch') response.writeHead(200).end();
    return kind === 'watch';
  };
  const informer = new Informer<FakeObject>({ config, path: '/x', times, onChange: () => undefined, onError: t.log });
  t.teardown(async () => {
    await informer.stop();
    await api.stop();
  });
  const startMs = performance.now();
  informer.start();
  await until(() => api.watches === 4);
  // Pauses of at least half of 40, 80 and 160 ms; without them four watches take a few milliseconds.
  t.true(performance.now() - startMs >= 140);
});

test('pauses do not grow from failure to failure where the watch stood in between', async (t) => {
  const { api, start } = await rig(t, { firstDelayMs: 10, maxDelayMs: 600_000 });
  await start();
  // Doubled each time, the last pause alone would be 82 s.
  for (let i = 0; i < 14; i++) {
    const { watches } = api;
    api.closeWatches('reset');
    await until(() => api.watches > watches && api.openWatches() === 1);
  }
  t.is(api.lists, 15);
});

test('a Retry-After is waited for, though the own pause would be shorter', async (t) => {
  const { api, start } = await rig(t);
  let failures = 1;
  api.fault = (response) => {
    if (failures-- <= 0) return false;
    response.writeHead(429, { 'retry-after': '1' }).end('{}');
    return true;
  };
  await start();
  t.true(api.askedMs[1]! - api.askedMs[0]! >= 1000);
});

for (const line of ['{"type":"ADDED","object":{"meta', 'null', '[]', '{"type":"ADDED"}', '\u0000']) {
  test(`a watch that brings ${JSON.stringify(line)} is given up, and what it hid is listed`, async (t) => {
    const { api, informer, errors, start } = await rig(t);
    api.put('a', 'a1');
    await start();
    api.put('b', 'b1', true);
    api.write(`${line}\n`);
    await until(() => informer.all().length === 2);
    t.regex(String(errors[0]), /a line is no (JSON|event)/);
  });
}

test('a bookmark moves on where the watch is continued from, and tells nobody', async (t) => {
  const { api, informer, told, errors, start } = await rig(t);
  await start();
  api.send({ type: 'BOOKMARK', object: { kind: 'Thing', metadata: { resourceVersion: '4711' } } });
  api.put('a', 'a1');
  await until(() => told.length === 1);
  t.deepEqual(uids(informer), ['a1']);
  t.deepEqual(errors, []);
});

test('a connection that brings nothing any more, half open, is opened anew without a list', async (t) => {
  const { api, errors, start } = await rig(t, { silenceMs: 200 });
  await start();
  await until(() => api.watches >= 3);
  t.is(api.lists, 1);
  t.deepEqual(errors, []);
});

test('a watch whose headers never come is given up', async (t) => {
  const { api, informer, start } = await rig(t, { silenceMs: 1000 });
  let hung = 0;
  api.fault = (response, kind) => kind === 'watch' && hung++ < 2 && hang(response, kind);
  await start();
  api.put('a', 'a1');
  await until(() => informer.all().length === 1);
  t.true(api.watches >= 3);
});

test('a token that was rotated is taken up when the config has it', async (t) => {
  const api = new FakeApi();
  const config = await api.start();
  const informer = new Informer<FakeObject>({
    config,
    path: '/x',
    times: TIMES,
    onChange: () => undefined,
    onError: () => undefined,
  });
  t.teardown(async () => {
    await informer.stop();
    await api.stop();
  });
  const use = (token: string): void => {
    config.users = [{ name: 'tester', token }];
  };
  api.token = 'old';
  use('old');
  informer.start();
  await informer.synced;
  api.token = 'new';
  api.closeWatches('reset');
  await until(() => api.refused >= 2);
  use('new');
  api.put('a', 'a1', true);
  await until(() => informer.all().length === 1 && api.openWatches() === 1);
  t.pass();
});

for (const code of [404, 403]) {
  test(`an API that answers ${code} is empty where it is optional, and is found once it is there`, async (t) => {
    const { api, informer, errors, start } = await rig(t, { optional: true, relistMs: 100 });
    api.put('a', 'a1');
    let absent = true;
    api.fault = (response, kind) => absent && status(code)(response, kind);
    informer.start();
    await informer.synced;
    t.deepEqual(informer.all(), []);
    t.is(informer.staleMs, 0);
    absent = false;
    await start();
    t.deepEqual(uids(informer), ['a1']);
    t.deepEqual(errors, []);
  });
}

test('what is refused keeps what was known, and holds nobody up who waits for the first answer', async (t) => {
  const { api, informer, errors, start } = await rig(t);
  api.put('a', 'a1');
  let code = 403;
  api.fault = (response, kind) => code > 0 && status(code)(response, kind);
  informer.start();
  await informer.settled;
  t.true(informer.isRefused);
  code = 0;
  await start();
  t.false(informer.isRefused);
  code = 403;
  api.closeWatches('reset');
  await until(() => informer.isRefused);
  t.deepEqual(uids(informer), ['a1']);
  // That another answer fails does not say that this one is taken back.
  code = 500;
  const { length } = errors;
  await until(() => errors.length > length + 2);
  t.true(informer.isRefused);
  code = 0;
  await until(() => !informer.isRefused);
  t.is(informer.staleMs, 0);
});

test('what is refused since what held it is gone is forgotten, and told so; it is there again when it is listed', async (t) => {
  let isGone = false;
  const { api, informer, told, start } = await rig(t, { isGone: () => Promise.resolve(isGone) });
  api.put('a', 'a1');
  await start();
  let refused = true;
  api.fault = (response, kind) => refused && status(403)(response, kind);
  api.closeWatches('reset');
  await until(() => informer.isRefused);
  t.deepEqual([uids(informer), informer.isGone], [['a1'], false]);
  isGone = true;
  await until(() => informer.isGone);
  t.deepEqual([uids(informer), informer.isRefused, told], [[], true, ['a1', 'a1']]);
  refused = false;
  await until(() => !informer.isRefused);
  t.deepEqual([uids(informer), informer.isGone], [['a1'], false]);
});

test('it says since when it has heard nothing, and when everything is known again', async (t) => {
  let recovered = 0;
  const { api, informer, start } = await rig(t, { onRecovered: () => (recovered += 1) });
  await start();
  t.is(informer.staleMs, 0);
  let failing = true;
  api.fault = (response, kind) => failing && status(500)(response, kind);
  api.closeWatches('reset');
  await until(() => informer.staleMs > 0);
  failing = false;
  await until(() => informer.staleMs === 0 && recovered > 0);
  t.is(recovered, 1);
});

test.serial('a thousand rounds of failures leave no timers, sockets or objects behind', async (t) => {
  const { api, informer, start } = await rig(t);
  api.put('a', 'a1');
  await start();
  const handles = (): number => process.getActiveResourcesInfo().length;
  const rounds = FULL_RUN ? 1000 : 100;
  let before = 0;
  for (let i = 0; i < rounds; i++) {
    const { watches } = api;
    api.closeWatches('reset');
    await until(() => api.watches > watches && api.openWatches() === 1);
    if (i === 20) before = handles();
  }
  // Sockets of lists are kept for the next one for some seconds.
  await until(() => handles() <= before + 3);
  t.deepEqual(uids(informer), ['a1']);
});
