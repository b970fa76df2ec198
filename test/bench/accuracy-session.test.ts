import test from 'ava';
import { CASE_NAMES, readCase } from '../../bench/accuracy/cases.ts';
import type { AccuracyRun, CaseUnderway } from '../../bench/accuracy/measure.ts';
import type { SessionOptions } from '../../bench/accuracy/session.ts';
import { measureCases } from '../../bench/accuracy/session.ts';
import { localCluster } from '../../soap/cluster/presets.ts';
import { createCostTable } from '../../soap/cost/cost-table.ts';
import { createRandom } from '../../soap/random.ts';
import { dataParallel } from '../../soap/baselines/index.ts';
import { randomStrategy } from '../../soap/strategy/random.ts';

/** MLP with data parallelism twice, ten random strategies, and data parallelism as a probe. */
async function begun(): Promise<CaseUnderway> {
  const target = await readCase(CASE_NAMES[0]!, 10);
  const { graph } = target.training;
  const cluster = localCluster(2);
  const run = (role: AccuracyRun['role'], name: string, seed?: number): AccuracyRun => ({
    role,
    name,
    devices: 2,
    strategy: seed === undefined ? dataParallel(graph, cluster) : randomStrategy(graph, cluster, createRandom(seed)),
  });
  const random = Array.from({ length: 10 }, (_, i) => run('row', `random ${i + 1}`, i + 1));
  const runs = [run('row', 'data'), run('row', 'found'), ...random, run('probe', '0')];
  const kernels = { table: createCostTable([]), entries: [], startUs: 10, messages: [], missing: 0 };
  return { target, measured: { model: 'mlp', kernels, runs, rounds: [] } };
}

/** Two strategies are measured at 10 and 10.5 ms, four percent up and down by round, the others far apart and the same each time. */
function fakeMs(run: number, round: number): number {
  if (run === 0 || run >= 10) return 100 + run;
  const noise = 1 + 0.02 * ((run + round) % 2 === 0 ? 1 : -1);
  return run <= 6 ? 10 * 1.02 ** run * noise : 30 * 1.5 ** run;
}

async function session(options: Partial<SessionOptions>) {
  const lines: string[] = [];
  const result = await measureCases([await begun()], {
    devices: [2],
    random: 10,
    rounds: 2,
    save: undefined,
    budgetMs: 0,
    log: (line) => lines.push(line),
    measure: async ({ target, measured }, { run, round }) => {
      if (run === 3 && round === 1) throw new Error('the port is taken');
      const once = { iterationMs: fakeMs(run, round), spans: [[], []], otherCores: 0 };
      return { target, measured: { ...measured, rounds: [...measured.rounds, { run, round, measured: once }] } };
    },
    ...options,
  });
  return { ...result, lines, rounds: result.cases[0]!.measured.rounds };
}

test('each strategy is measured once a round, equal rows together, and a failure costs no more than itself', async (t) => {
  const { rounds, failures, lines } = await session({});
  t.deepEqual(failures, ['mlp, round 2, row random 2 on 2 failed, and is left out: the port is taken']);
  t.is(lines.length, 24);
  t.true(lines.every((line) => line.includes('to go') !== line.includes('failed')));
  const counts = Array.from({ length: 13 }, (_, run) => rounds.filter((each) => each.run === run).length);
  t.deepEqual(counts, [2, 0, 2, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2]);
});

test('time that is left goes to strategies in pairs that are not decided', async (t) => {
  let nowRounds = 0;
  const stop = new Error('enough');
  const { rounds } = await session({
    budgetMs: 60_000,
    measure: async ({ target, measured }, { run, round }) => {
      nowRounds = Math.max(nowRounds, round);
      // As if each further run failed, so that the session ends after a few rounds.
      if (round > 4) throw stop;
      const once = { iterationMs: fakeMs(run, round), spans: [[], []], otherCores: 0 };
      return { target, measured: { ...measured, rounds: [...measured.rounds, { run, round, measured: once }] } };
    },
  });
  t.true(nowRounds > 2);
  const more = new Set(rounds.filter(({ round }) => round > 2).map(({ run }) => run));
  t.true(more.size >= 4);
  for (const run of more) t.true(run >= 2 && run <= 6, `run ${run}`);
});
