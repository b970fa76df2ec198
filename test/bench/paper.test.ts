import test from 'ava';
import { compareCell } from '../../bench/paper/compare.ts';
import { fillCell } from '../../bench/paper/cell.ts';
import { P100_GPUS, PAPER_MODELS } from '../../bench/paper/figures.ts';
import { paperProblem } from '../../bench/paper/problem.ts';
import { comparedTable, plainTable } from '../../bench/paper/tables.ts';
import { evaluate } from '../../soap/search/evaluate.ts';
import { dataParallel } from '../../soap/strategy/baselines/index.ts';

const byName = (name: string) => PAPER_MODELS.find((model) => model.name === name)!;

test('on one GPU every model runs as fast as the paper says', (t) => {
  for (const model of PAPER_MODELS) {
    for (const family of ['p100', 'k80'] as const) {
      const problem = paperProblem(model, family, 1, {});
      const { samplesPerSecond } = evaluate(problem, dataParallel(problem.training.graph, problem.cluster));
      t.true(Math.abs(samplesPerSecond / model.singleGpu[family] - 1) < 1e-9, `${model.name} on ${family}`);
    }
  }
});

test('wires can be given: inside a node, between nodes, and how sums are made', (t) => {
  const slower = (gpus: number, wires: Parameters<typeof paperProblem>[3]): number => {
    const rate = (given: typeof wires): number => {
      const problem = paperProblem(byName('RNNLM'), 'p100', gpus, given);
      return evaluate(problem, dataParallel(problem.training.graph, problem.cluster)).samplesPerSecond;
    };
    return rate(wires) / rate({});
  };
  t.true(slower(2, { insideGBps: 1 }) < 0.5);
  t.is(slower(2, { betweenGBps: 1 }), 1, 'two GPUs of one node');
  t.true(slower(8, { betweenGBps: 1 }) < 0.5);
  // Of four nodes, the owner's adapter takes three gradients and gives three results; a ring passes one and a half each way.
  t.true(slower(16, { collectives: ['owner'] }) < 0.7);
});

test('a found plan is no slower than where its search began', (t) => {
  const wires = { collectives: ['owner'] } as const;
  const { rates, proposals } = fillCell({
    model: 'AlexNet',
    cluster: 'p100',
    gpus: 8,
    wires,
    seconds: 600,
    proposals: 40,
  });
  t.true(rates.found >= Math.max(rates.data, rates.expert));
  t.true(proposals > 0 && proposals <= 40);
});

const paper = { data: 100, expert: 100.5, found: 200 };

test('a cell is compared by speedup and by order; what the paper has equal may be in any order', (t) => {
  t.deepEqual(compareCell({ data: 50, expert: 49, found: 100 }, paper), {
    speedupRatio: 1,
    speedupAgrees: true,
    disorders: [],
  });
  const { speedupAgrees, disorders } = compareCell({ data: 100, expert: 150, found: 140 }, paper);
  t.false(speedupAgrees, '1.4 in place of 2');
  t.deepEqual(disorders, [['found', 'expert']]);
  t.deepEqual(
    compareCell({ data: 100, expert: 90, found: 100 }, paper).disorders,
    [['found', 'data']],
    'equal is no order',
  );
});

test('tables say how many cells agree', (t) => {
  const model = byName('AlexNet');
  const rows = P100_GPUS.map((gpus, at) => {
    const rates = { data: model.p100.data[at]!, expert: model.p100.expert[at]!, found: model.p100.found[at]! };
    return { model, gpus, cell: { rates, proposals: 0 } };
  });
  const compared = comparedTable(rows);
  t.regex(
    compared,
    /\| AlexNet \| 16 \| 635\.0 \/ 949\.0 \/ 1570 \| 635\.0 \/ 949\.0 \/ 1570 \| 2\.47 \| 2\.47 \| 1\.00 \| same \|/,
  );
  t.true(compared.endsWith("4 of 4 cells in the paper's order, 4 speedups within 25 %"));
  t.regex(plainTable(rows), /\| AlexNet \| 2 \| 1475 \/ 1821 \/ 2244 \| 1\.52 \|/);
});
