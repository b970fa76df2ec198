import test from 'ava';
import { presetCluster } from '../../soap/cluster/presets.ts';
import { createRooflineCosts } from '../../soap/cost/roofline.ts';
import { encodeTrace } from '../../soap/explain/chrome-trace.ts';
import { explain } from '../../soap/explain/explanation.ts';
import { simulatedTrace } from '../../soap/explain/simulated-trace.ts';
import { attachLoss } from '../../soap/training/loss.ts';
import { builtinModel } from '../../soap/models/index.ts';
import { expertStrategy } from '../../soap/baselines/index.ts';
import { createChecker } from '../../soap/schema/check.ts';
import { freelyNamed } from '../support/freely-named.ts';

interface Event {
  readonly ph: 'M' | 'X' | 's' | 'f' | 'C';
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly ts: number;
  readonly dur: number;
  readonly id: number;
  readonly cat: string;
  readonly args: Readonly<Record<string, number | string>>;
}

const [text, number, id] = [{ type: 'string' }, { type: 'number', minimum: 0 }, { type: 'integer', minimum: 0 }];

/** An event of a phase with the fields that the format's document asks for, and no others. */
const event = (ph: string, fields: object): object => ({
  type: 'object',
  additionalProperties: false,
  required: ['ph', 'name', 'pid', 'tid', ...Object.keys(fields)],
  properties: { ph: { const: ph }, name: text, pid: id, tid: id, ...fields },
});

const args = (values: object): object => ({ type: 'object', additionalProperties: values });

/** Of the "Trace Event Format": complete, flow start and end, counter and metadata events. */
const checker = createChecker<{ readonly traceEvents: readonly Event[] }>({
  type: 'object',
  additionalProperties: false,
  required: ['traceEvents', 'displayTimeUnit', 'otherData'],
  properties: {
    displayTimeUnit: { enum: ['ms', 'ns'] },
    otherData: { type: 'object' },
    traceEvents: {
      type: 'array',
      minItems: 1,
      items: {
        oneOf: [
          event('X', { cat: text, ts: number, dur: number, args: args({ type: ['string', 'number'] }) }),
          event('s', { cat: text, ts: number, id }),
          event('f', { cat: text, ts: number, id, bp: { const: 'e' } }),
          event('C', { ts: number, args: args(number) }),
          event('M', { args: args({ type: ['string', 'number'] }) }),
        ],
      },
    },
  },
});

test('a trace has the fields of the format, every device and transfer, and slices that do not overlap', (t) => {
  const training = attachLoss(builtinModel('lenet', 64, 1, {}).graph, 'crossEntropy');
  const problem = { training, cluster: presetCluster('p100x8'), costs: createRooflineCosts() };
  const strategy = expertStrategy(training.graph, problem.cluster);
  const explained = explain(problem, strategy);
  const value: unknown = JSON.parse([...encodeTrace(simulatedTrace(problem, strategy, explained))].join(''));
  t.deepEqual(checker.problems(value), []);
  if (!checker.is(value)) return;
  const of = (phase: Event['ph']): Event[] => value.traceEvents.filter(({ ph }) => ph === phase);

  const threads = new Map(
    of('M').flatMap(({ name, tid, args }) => (name === 'thread_name' ? [[tid, args['name']]] : [])),
  );
  for (const { name } of problem.cluster.devices) t.true([...threads.values()].includes(name));
  const transfers = explained.causes.graph.tasks.filter(({ kind }) => kind === 'transfer');
  t.true(transfers.length > 0);
  t.is(of('s').length, transfers.length);
  t.deepEqual(
    of('s').map(({ id }) => id),
    of('f').map(({ id }) => id),
  );
  t.is(new Set(of('C').map(({ name }) => name)).size, problem.cluster.devices.length);

  const slices = of('X');
  t.is(Math.max(...slices.map(({ ts, dur }) => ts + dur)), explained.causes.timeline.makespanUs);
  const rows = Map.groupBy(slices, ({ tid }) => tid);
  for (const [tid, row] of rows) {
    t.true(threads.has(tid));
    row.sort((a, b) => a.ts - b.ts || a.dur - b.dur);
    row.forEach(({ ts }, i) => t.true(i === 0 || ts >= row[i - 1]!.ts + row[i - 1]!.dur - 1e-6));
  }
  for (const [at, phase] of [
    ['s', of('s')],
    ['f', of('f')],
  ] as const) {
    for (const { tid, ts } of phase) {
      const hit = rows.get(tid)!.some((slice) => slice.ts - 1e-6 <= ts && ts <= slice.ts + slice.dur + 1e-6);
      t.true(hit, `a flow's ${at} at ${ts} lies in no slice`);
    }
  }
});

test('links are in the process of their node, whatever devices are called', (t) => {
  const training = attachLoss(builtinModel('lenet', 64, 1, {}).graph, 'crossEntropy');
  const [usual, free] = [presetCluster('p100x8'), freelyNamed(presetCluster('p100x8'))].map((cluster) => {
    const problem = { training, cluster, costs: createRooflineCosts() };
    const strategy = expertStrategy(training.graph, cluster);
    const { processes, tracks } = simulatedTrace(problem, strategy, explain(problem, strategy));
    return tracks.map(({ process }) => processes[process]);
  });
  t.deepEqual(free, usual);
  t.deepEqual(new Set(free), new Set(['node0', 'node1']));
});
