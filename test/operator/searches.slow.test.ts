import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import type { SearchState } from '../../operator/decide/types.ts';
import type { SearchRequest } from '../../operator/planning/search-request.ts';
import { SearchThreads } from '../../operator/planning/search-threads.ts';
import { Searches } from '../../operator/planning/searches.ts';
import { threadMegabytes } from '../../operator/planning/thread-memory.ts';
import { FetchError } from '../../soap/fetch/fetch.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { createPlan } from '../../soap/plan/create-plan.ts';
import { encodePlan } from '../../soap/plan/plan-file.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinGraph } from '../../soap/models/index.ts';
import { evaluate } from '../../soap/simulator/evaluate.ts';
import { singleDevice } from '../../soap/baselines/index.ts';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { jobResource, LENET_SPEC } from '../support/kubernetes.ts';

function request(seconds: number, proposals?: number, spec: object = {}): SearchRequest {
  const parsed = parseTrainingJob(
    jobResource({ ...spec, search: { seconds, ...(proposals === undefined ? {} : { proposals }) } }),
  );
  if ('problems' in parsed) throw new Error('the job of the test is invalid');
  return {
    job: parsed.job,
    cluster: presetCluster('p100x2').description,
    modelFile: undefined,
    withoutWeights: false,
    planFile: undefined,
    costs: [],
  };
}

async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 4000; i++) {
    if (condition()) return;
    await sleep(10);
  }
  throw new Error(`never came true: ${condition.toString()}`);
}

test('searches beyond the limit wait; one that is forgotten ends, running or waiting, and gives its place to the next', async (t) => {
  const ended: string[] = [];
  const results: string[] = [];
  const searches = new Searches(1, (result, seconds) => results.push(`${result} ${(seconds ?? 0) > 0}`));
  t.teardown(() => searches.stop());
  searches.start(
    'long',
    () => Promise.resolve(request(3600)),
    () => ended.push('long'),
  );
  searches.start(
    'gone',
    () => Promise.reject(new Error('it is not to begin')),
    () => ended.push('gone'),
  );
  searches.start(
    'short',
    () => Promise.resolve(request(60, 20)),
    () => ended.push('short'),
  );
  t.deepEqual([searches.running, searches.waiting], [1, 2]);
  searches.forget('gone');
  t.is(searches.waiting, 1);
  searches.forget('long');
  await until(() => searches.state('short').kind === 'found');
  // Told of its progress too, where the machine is slow.
  t.deepEqual([...new Set(ended)], ['short']);
  t.deepEqual(results, ['found true'], 'with a length');
  t.deepEqual([searches.running, searches.waiting], [0, 0]);
  t.is(searches.state('long').kind, 'none');
});

test('searches for moves go one at a time, and take no turn from a job that waits for its plan', async (t) => {
  const searches = new Searches(1);
  t.teardown(() => searches.stop());
  const nothing = (): void => undefined;
  for (const key of ['first', 'second']) searches.start(key, () => Promise.resolve(request(3600)), nothing, 'move');
  t.deepEqual([searches.running, searches.waiting], [1, 1]);
  searches.start('job', () => Promise.resolve(request(60, 20)), nothing);
  await until(() => searches.state('job').kind === 'found');
  t.deepEqual([searches.running, searches.waiting], [1, 1]);
});

test('a move is searched beside the plan that runs, which is predicted anew', async (t) => {
  const searches = new Searches(1);
  t.teardown(() => searches.stop());
  searches.start(
    'plan',
    () => Promise.resolve(request(60, 20)),
    () => undefined,
  );
  await until(() => searches.state('plan').kind === 'found');
  const found = searches.state('plan');
  if (found.kind !== 'found') throw new Error('it was found');
  const slower = presetCluster('p100x2').description;
  const connections = slower.connections.map((each) => ({ ...each, latencyUs: 1e4 * each.latencyUs + 1e4 }));
  const devices = slower.devices.map((each) => ({ ...each, flopsPerSec: each.flopsPerSec / 100 }));
  const current = { plan: encodePlan(found.plan), cluster: { ...slower, devices, connections } };
  searches.start(
    'move',
    () => Promise.resolve({ ...request(60, 20), current }),
    () => undefined,
    'move',
  );
  await until(() => searches.state('move').kind === 'found');
  const moved = searches.state('move');
  if (moved.kind !== 'found') throw new Error('it was found');
  t.true((moved.currentIterationMs ?? 0) > 2 * found.plan.prediction.iterationMs, 'with the numbers of now');
  const elsewhere = { ...current, cluster: presetCluster('p100x4').description };
  searches.forget('move');
  searches.start(
    'move',
    () => Promise.resolve({ ...request(60, 20), current: elsewhere }),
    () => undefined,
    'move',
  );
  await until(() => searches.state('move').kind === 'found');
  t.like(searches.state('move'), { currentIterationMs: found.plan.prediction.iterationMs }, 'as it was predicted');
});

test('a plan is searched for what is trained, and a given plan must be for that', async (t) => {
  const searches = new Searches(1);
  t.teardown(() => searches.stop());
  const searched = async (key: string, asked: SearchRequest): Promise<SearchState> => {
    searches.start(
      key,
      () => Promise.resolve(asked),
      () => undefined,
    );
    await until(() => ['found', 'failed'].includes(searches.state(key).kind));
    return searches.state(key);
  };
  const frozenJob = (...frozen: string[]): object => ({ training: { ...LENET_SPEC.training, frozen } });
  const whole = await searched('whole', request(60, 20));
  const head = await searched('head', request(60, 20, frozenJob('conv*')));
  if (whole.kind !== 'found' || head.kind !== 'found') throw new Error('both were found');
  t.is(head.plan.training?.frozen?.length, 4);
  t.true(head.plan.prediction.computeMs < whole.plan.prediction.computeMs);
  const given = { ...request(60, 20, frozenJob('conv*')), planFile: encodePlan(whole.plan) };
  const refused = await searched('given', given);
  t.is(refused.kind, 'failed');
  t.regex(JSON.stringify(refused), /training\.frozen: trains conv1\.weight.*which is to be frozen: search again/);
  t.is((await searched('fitting', { ...given, planFile: encodePlan(head.plan) })).kind, 'found');
  const unknown = await searched('unknown', request(60, 20, frozenJob('encoder.*')));
  t.regex(JSON.stringify(unknown), /spec\.training\.frozen\[0\]: got 'encoder\.\*', which matches no parameter/);
});

test('a request that cannot be made fails the search with its sentence', async (t) => {
  const searches = new Searches(1);
  t.teardown(() => searches.stop());
  searches.start(
    'a',
    () => Promise.reject(new Error('there is no such ConfigMap')),
    () => undefined,
  );
  await until(() => searches.state('a').kind === 'failed');
  t.like(searches.state('a'), { message: 'there is no such ConfigMap' });
});

test('a model that cannot be had now may be asked for again soon, and counts as no search; one that is wrong may not', async (t) => {
  const told: unknown[] = [];
  const searches = new Searches(2, (...ended) => told.push(ended));
  t.teardown(() => searches.stop());
  const fail = (key: string, passing: boolean): Promise<void> =>
    new Promise((resolve) => {
      searches.start(key, () => Promise.reject(new FetchError(`${key} is not there`, passing)), resolve);
    });
  const before = Date.now();
  await Promise.all([fail('later', true), fail('never', false)]);
  const [later, never] = [searches.state('later'), searches.state('never')];
  t.like(later, { kind: 'failed', message: 'later is not there' });
  t.true(later.kind === 'failed' && (later.retryAtMs ?? 0) >= before + 5000);
  t.deepEqual(never, { kind: 'failed', message: 'never is not there' });
  t.deepEqual(told, [['failed', undefined]], 'no search was begun, so that none has a length');
});

test('a model is asked for less and less often, half a minute apart at most; once it is read the search is told to run', async (t) => {
  const searches = new Searches(1);
  t.teardown(() => searches.stop());
  for (const [i, pauseMs] of [5000, 10_000, 20_000, 30_000, 30_000].entries()) {
    const before = Date.now();
    await new Promise<void>((resolve) => {
      searches.start('late', () => Promise.reject(new FetchError('it is not there', true)), resolve);
      t.like(searches.state('late'), { kind: 'running', unread: i > 0 });
    });
    const state = searches.state('late');
    const { retryAtMs = 0 } = state.kind === 'failed' ? state : {};
    t.true(retryAtMs >= before + pauseMs && retryAtMs <= Date.now() + pauseMs, `${pauseMs}`);
  }
  const states: string[] = [];
  searches.start(
    'late',
    () => Promise.resolve(request(60, 20)),
    () => {
      const state = searches.state('late');
      states.push(state.kind === 'running' && state.unread === true ? 'unread' : state.kind);
    },
  );
  await until(() => searches.state('late').kind === 'found');
  // Told of its progress too, where the machine is slow.
  t.deepEqual([...new Set(states)], ['running', 'found']);
  searches.start('never', () => Promise.reject(new Error('it is wrong')), nobody);
  await until(() => searches.state('never').kind === 'failed');
  searches.start('never', () => Promise.resolve(request(60, 20)), nobody);
  t.is(searches.state('never').kind, 'failed', 'what is wrong is not read again');
});

function nobody(): void {
  // Nobody is to be told.
}

test('a check of a given plan does not wait for searches, and has no length of one', async (t) => {
  const told: unknown[] = [];
  const searches = new Searches(1, (...ended) => told.push(ended));
  t.teardown(() => searches.stop());
  searches.start(
    'long',
    () => Promise.resolve(request(3600)),
    () => undefined,
  );
  for (let i = 0; i < 3; i++) {
    searches.start(
      `check-${i}`,
      () => Promise.resolve({ ...request(3600), planFile: 'not a plan' }),
      () => undefined,
      'check',
    );
  }
  await until(() => searches.state('check-2').kind === 'failed');
  t.is(searches.state('long').kind, 'running');
  t.regex(Object(searches.state('check-0')).message, /plan/);
  t.deepEqual(told.at(-1), ['failed', undefined]);
});

test('a given plan with a message that is larger than messages may be is refused, by the ops that are to be cut', async (t) => {
  const searches = new Searches(1);
  t.teardown(() => searches.stop());
  const batchSize = 2 ** 20;
  const spec = { training: { ...LENET_SPEC.training, batchSize }, dataset: { synthetic: { samples: batchSize } } };
  const training = attachLoss(builtinGraph('lenet', batchSize), 'crossEntropy');
  const cluster = presetCluster('p100x2');
  const problem = { training, cluster, costs: createRooflineCosts() };
  const check = async (key: string, elsewhere: number): Promise<SearchState> => {
    const configs = singleDevice(training.graph).configs.map((config, op) =>
      op === elsewhere ? { ...config, devices: [1] } : config,
    );
    const context = { prediction: evaluate(problem, { configs }), baselines: {}, origin: 'data' };
    const planFile = encodePlan(createPlan(problem, { configs }, context));
    const made = { ...request(60, 20, { ...spec, plan: 'plan.json', storage: { emptyDir: {} } }), planFile };
    searches.start(key, () => Promise.resolve(made), nobody, 'check');
    await until(() => searches.state(key).kind !== 'running');
    return searches.state(key);
  };
  t.is((await check('small', training.graph.ops.length - 1)).kind, 'found');
  const large = await check('large', 1);
  t.is(large.kind, 'failed');
  t.regex(
    Object(large).message,
    /^plan\.json has 1 problem:\s+ops: a message between devices has \d+ bytes, .*: cut these/,
  );
});

test('a thread that was given back is the next one that is taken, unless it has ended', async (t) => {
  const threads = new SearchThreads(256);
  t.teardown(() => threads.stop());
  const first = threads.take();
  threads.giveBack(first);
  const second = threads.take();
  t.is(second, first);
  threads.giveBack(second);
  await second.terminate();
  const third = threads.take();
  t.not(third, first);
  threads.giveBack(third);
});

test('a model that is too large for its thread fails its job alone, with a cure; the search beside it and the next go on', async (t) => {
  const results: string[] = [];
  const searches = new Searches(2, (result) => results.push(result), 40);
  t.teardown(() => searches.stop());
  const start = (key: string, spec?: object): void =>
    searches.start(
      key,
      () => Promise.resolve(request(60, 20, spec)),
      () => undefined,
    );
  start('huge', { model: { builtin: { name: 'rnntc', steps: 256, group: 1 } } });
  start('small');
  start('next');
  await until(() => ['huge', 'small', 'next'].every((key) => searches.state(key).kind !== 'running'));
  const huge = searches.state('huge');
  t.is(huge.kind, 'failed');
  t.regex(
    huge.kind === 'failed' ? huge.message : '',
    /^the search for a plan needs more memory .* 40 MB: .*searchMegabytes/,
  );
  t.deepEqual([searches.state('small').kind, searches.state('next').kind], ['found', 'found']);
  t.deepEqual(results.toSorted(), ['failed', 'found', 'found']);
});

for (const [title, threads, gibibytes, expected] of [
  ["the chart's limit", 2, 6, 1152],
  ['little memory: enough for a small model', 2, 1 / 4, 64],
  ['much memory: what V8 would take', 2, 512, 4096],
  ['more threads: less for each', 10, 2, 128],
] as const) {
  test(`threads share what the process may use; ${title}`, (t) => {
    t.is(threadMegabytes(threads, gibibytes * 2 ** 30), expected);
  });
}
