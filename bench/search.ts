/**
 * How fast planning is, as docs/performance/planning.md quotes it.
 *   npm run bench:search                       all tables
 *   npm run bench:search -- proposal           one table: proposal, plans, scale, gpt or command
 *   npm run bench:search -- plans --seconds 60 --models alexnet,nmt
 *   npm run bench:search -- scale --picture docs/pictures/planning-scale.svg
 *   npm run bench:search -- scale --beta 200   chains of plans and scale with another beta
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import process from 'node:process';
import { parseArgs } from 'node:util';
import { availableParallelism, cpus, totalmem } from 'node:os';
import { presetCluster } from '../soap/cluster/presets.ts';
import { createRooflineCosts } from '../soap/cost/roofline.ts';
import { attachLoss } from '../soap/graph/loss.ts';
import { builtinGraph, findBuiltin } from '../soap/models/index.ts';
import { createRandom } from '../soap/random.ts';
import type { StepOutcome } from '../soap/search/chain.ts';
import { Chain } from '../soap/search/chain.ts';
import type { PlanningProblem } from '../soap/simulator/evaluate.ts';
import { DeltaSimulation } from '../soap/simulator/delta/delta-simulation.ts';
import { simulate } from '../soap/simulator/simulate.ts';
import { dataParallel, expertStrategy } from '../soap/baselines/index.ts';
import { buildTaskGraph } from '../soap/tasks/build.ts';
import type { Series } from './search/log-chart.ts';
import { logChart } from './search/log-chart.ts';
import { DEFAULT_SEARCH } from '../soap/job/search-defaults.ts';

/** The paper's six, with its batches per GPU. */
const MODELS = [
  { name: 'alexnet', perGpu: 256, parameters: {} },
  { name: 'inceptionv3', perGpu: 64, parameters: { batchNorm: false } },
  { name: 'resnet101', perGpu: 64, parameters: { batchNorm: false } },
  { name: 'rnntc', perGpu: 64, parameters: {} },
  { name: 'rnnlm', perGpu: 64, parameters: {} },
  { name: 'nmt', perGpu: 64, parameters: { group: 8 } },
] as const;

const GPT_SECONDS = 110;

function problemOf(name: string, cluster: string, batch: number, parameters = {}): PlanningProblem {
  const { loss } = findBuiltin(name);
  return {
    training: attachLoss(builtinGraph(name, batch, parameters), loss),
    cluster: presetCluster(cluster),
    costs: createRooflineCosts(),
  };
}

function quantile(values: readonly number[], share: number): number {
  return values.toSorted((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? Number.NaN;
}

function timed(work: () => void): number {
  const startMs = performance.now();
  work();
  return performance.now() - startMs;
}

/** One delta proposal, one full simulation, and the rebuild-everything twin, in turns in one run. */
function proposals(): void {
  const problem = problemOf('nmt', 'p100x64', 64 * 64, { group: 8 });
  const { training, cluster, costs } = problem;
  const start = dataParallel(training.graph, cluster);
  const walks = [DEFAULT_SEARCH.beta, DEFAULT_SEARCH.beta / 10].map(
    (beta) => [beta, proposalTimes(problem, 4000, beta)] as const,
  );
  const twin = Array.from({ length: 15 }, () => timed(() => simulate(buildTaskGraph(training, start, cluster, costs))));
  const tasks = buildTaskGraph(training, start, cluster, costs);
  const full = Array.from({ length: 30 }, () => timed(() => simulate(tasks)));
  const constructed = Array.from({ length: 10 }, () => timed(() => new DeltaSimulation(problem, start)));
  console.log(`\nNMT in groups of 8 steps, 64 P100s, ${training.graph.ops.length} ops, ${tasks.tasks.length} tasks`);
  for (const [beta, walk] of walks) {
    console.log(`a chain from data parallelism, beta ${beta}`);
    console.table({
      'a delta proposal that changes something': { ...row(walk.all), count: walk.all.length },
      '  turned down before it is simulated': { ...row(walk.bounded), count: walk.bounded.length },
      '  simulated until it must be rejected': { ...row(walk.rejected), count: walk.rejected.length },
      '  accepted': { ...row(walk.accepted), count: walk.accepted.length },
    });
    console.log(`twin / proposal (medians): ${(quantile(twin, 0.5) / quantile(walk.all, 0.5)).toFixed(0)}`);
  }
  console.table({
    'a full simulation': row(full),
    'all states built and simulated': row(constructed),
    'the twin that rebuilds everything': row(twin),
  });
}

function row(ms: readonly number[]): Record<string, string | number> {
  return { 'median ms': quantile(ms, 0.5).toFixed(3), '90 % within': quantile(ms, 0.9).toFixed(3) };
}

/** Times the proposals of a chain that change something, after it has warmed up. */
function proposalTimes(problem: PlanningProblem, count: number, beta: number): Record<'all' | StepOutcome, number[]> {
  const chain = new Chain(problem, dataParallel(problem.training.graph, problem.cluster), beta, createRandom(1));
  const times: Record<'all' | StepOutcome, number[]> = {
    all: [],
    unchanged: [],
    bounded: [],
    rejected: [],
    accepted: [],
  };
  for (let i = -count; i < count; i++) {
    let outcome: StepOutcome = 'unchanged';
    const ms = timed(() => {
      outcome = chain.step();
    });
    if (i < 0) continue;
    times[outcome].push(ms);
    if (outcome !== 'unchanged') times.all.push(ms);
  }
  return times;
}

/** How soon chains come within 1 % of the best plan that any of them found. */
function plans(seconds: number, models: readonly string[] | undefined, beta: number): void {
  console.log(
    `\ntime to within 1 % of the best known plan, 64 P100s, one chain in one thread, beta ${beta}, ${seconds} s for each run`,
  );
  for (const [name, collectives] of [
    ['all collectives', undefined],
    ['sums at one owner, as in the paper', ['owner']],
  ] as const) {
    const rows: Record<string, object> = {};
    for (const { name: model, perGpu, parameters } of MODELS) {
      if (models?.includes(model) === false) continue;
      const problem: PlanningProblem = {
        ...problemOf(model, 'p100x64', 64 * perGpu, parameters),
        ...(collectives === undefined ? {} : { collectives }),
      };
      const runs = [1, 2].map((seed) => improvements(problem, seed, seconds, beta));
      const best = Math.min(...runs.map((run) => run.at(-1)!.ms));
      rows[model] = {
        ops: problem.training.graph.ops.length,
        'data parallel ms': runs[0]![0]!.ms.toFixed(1),
        'best ms': best.toFixed(1),
        speedup: (runs[0]![0]!.ms / best).toFixed(2),
        ...Object.fromEntries(
          runs.map((run, i) => [
            `seed ${i + 1}: s to 1 %`,
            run.find(({ ms }) => ms <= 1.01 * best)?.seconds.toFixed(1) ?? `not in ${seconds}`,
          ]),
        ),
      };
    }
    console.log(name);
    console.table(rows);
  }
}

/** When a chain from data parallelism found what. */
function improvements(
  problem: PlanningProblem,
  seed: number,
  seconds: number,
  beta: number,
): { seconds: number; ms: number }[] {
  const startMs = performance.now();
  const start = dataParallel(problem.training.graph, problem.cluster);
  const chain = new Chain(problem, start, beta, createRandom(seed));
  const found = [{ seconds: 0, ms: chain.best.energyMs }];
  for (let now = 0; now < seconds; now = (performance.now() - startMs) / 1000) {
    for (let i = 0; i < 8; i++) chain.step();
    if (chain.best.energyMs < found.at(-1)!.ms) found.push({ seconds: now, ms: chain.best.energyMs });
  }
  return found;
}

/** Memory and time per proposal as the cluster grows; each size in a process of its own, so that memory is its own. */
function scale(picture: string | undefined, beta: number): void {
  const sizes = [4, 16, 64, 256, 1024].map((gpus) => {
    const output = execFileSync(process.execPath, [
      import.meta.filename,
      'size',
      '--gpus',
      String(gpus),
      '--beta',
      String(beta),
    ]);
    const size: Size = JSON.parse(output.toString());
    return size;
  });
  console.log(`\nproposals of NMT in groups of 8 steps, 64 samples per GPU, beta ${beta}`);
  console.table(Object.fromEntries(sizes.map(({ gpus, ...rest }) => [`${gpus} GPUs`, rest])));
  if (picture === undefined) return;
  const series = (title: string, value: (size: Size) => number): Series => ({
    title,
    points: sizes.map((size) => [size.gpus, value(size)]),
  });
  const lines = [
    series('resident, MB', ({ residentMB }) => residentMB),
    series('a full simulation, ms', ({ fullMs }) => fullMs),
    series('mean proposal, ms', ({ meanMs }) => meanMs),
    series('median proposal, ms', ({ medianMs }) => medianMs),
  ];
  writeFileSync(picture, logChart('Planning NMT as the cluster grows', 'GPUs', 'ms, MB', lines));
}

/** What planning takes on a cluster of some size. */
interface Size {
  readonly gpus: number;
  readonly tasks: number;
  readonly medianMs: number;
  readonly meanMs: number;
  readonly fullMs: number;
  readonly residentMB: number;
}

/** Proposals of a chain from data parallelism, and one full simulation of data parallelism. */
function sizeOf(gpus: number, beta: number): Size {
  const problem = problemOf('nmt', `p100x${gpus}`, 64 * gpus, { group: 8 });
  const { all } = proposalTimes(problem, gpus > 64 ? 12_800 / gpus : 2000, beta);
  const { training, cluster, costs } = problem;
  const tasks = buildTaskGraph(training, dataParallel(training.graph, cluster), cluster, costs);
  const residentMB = Math.round(process.memoryUsage().rss / 1e6);
  return {
    gpus,
    tasks: tasks.tasks.length,
    medianMs: rounded(quantile(all, 0.5)),
    meanMs: rounded(all.reduce((a, b) => a + b, 0) / all.length),
    fullMs: rounded(
      quantile(
        Array.from({ length: 5 }, () => timed(() => simulate(tasks))),
        0.5,
      ),
    ),
    residentMB,
  };
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}

/** GPT-3's layers on 1,024 H100s: the expert's strategy, and what a chain makes of it in two minutes. */
function gpt(): void {
  const startMs = performance.now();
  const seconds = (): string => ((performance.now() - startMs) / 1000).toFixed(1);
  const parameters = { layers: 96, width: 12_288, heads: 96, sequence: 2048, vocabulary: 51_200 };
  const problem: PlanningProblem = { ...problemOf('gpt', 'h100x1024', 64, parameters), optimizer: 'adam' };
  const { graph } = problem.training;
  const chain = new Chain(
    problem,
    expertStrategy(graph, problem.cluster, 'adam'),
    DEFAULT_SEARCH.beta,
    createRandom(1),
  );
  const rows: object[] = [];
  const note = (what: string): void => {
    const feasible = chain.best.energyMs < 1e8;
    rows.push({
      what,
      'after s': seconds(),
      'iteration s': feasible ? (chain.best.energyMs / 1000).toFixed(2) : 'does not fit',
      proposals: chain.proposals,
      'resident MB': (process.memoryUsage().rss / 1e6).toFixed(0),
    });
  };
  note("the expert's strategy, simulated");
  while (Number(seconds()) < GPT_SECONDS) {
    const before = chain.best;
    chain.step();
    if (chain.best.energyMs < 0.98 * before.energyMs) note('found');
  }
  note('at the end');
  console.log(
    `\nGPT, ${graph.ops.length} ops, 96 layers of width 12,288, 64 sequences of 2,048, 1,024 H100s, one thread`,
  );
  console.table(rows);
}

/** The whole command, from its start to the plan. */
function command(): void {
  const args = [
    'cli/bin/soapstone.js',
    'plan',
    '--model',
    'alexnet',
    '--cluster',
    'p100x4',
    '--batch',
    '1024',
    '--seconds',
    '1',
  ];
  const seconds = Array.from(
    { length: 5 },
    () => timed(() => execFileSync(process.execPath, args, { stdio: 'pipe' })) / 1000,
  );
  console.log(`\nnode ${args.join(' ')}: median ${quantile(seconds, 0.5).toFixed(2)} s of 5 runs`);
}

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: 'string', default: '60' },
    models: { type: 'string' },
    picture: { type: 'string' },
    gpus: { type: 'string', default: '64' },
    beta: { type: 'string', default: String(DEFAULT_SEARCH.beta) },
  },
});
const beta = Number(values.beta);
const wanted = (name: string): boolean => positionals.length === 0 || positionals.includes(name);

if (positionals.includes('size')) {
  console.log(JSON.stringify(sizeOf(Number(values.gpus), beta)));
  process.exit();
}
console.log(
  `${cpus()[0]?.model}, ${availableParallelism()} cores, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${process.version}`,
);
if (wanted('proposal')) proposals();
if (wanted('plans')) plans(Number(values.seconds), values.models?.split(','), beta);
if (wanted('scale')) scale(values.picture, beta);
if (wanted('gpt')) gpt();
if (wanted('command')) command();
