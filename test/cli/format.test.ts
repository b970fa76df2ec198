import test from 'ava';
import { bytes, duration, table } from '../../cli/terminal/format.ts';
import { planReport } from '../../cli/terminal/plan-report.ts';
import { printable } from '../../cli/terminal/printable.ts';
import { timeInWords } from '../../soap/explain/quantities.ts';
import { PLAN_VERSION } from '../../soap/plan/plan-schema.ts';
import { lenetPlan } from '../support/lenet-plan.ts';

test('a duration has three digits or two units, also where it rounds up to the next one', (t) => {
  const cases: readonly [ms: number, text: string][] = [
    [0.01234, '0.0123 ms'],
    [999.4, '999 ms'],
    [999.7, '1.00 s'],
    [59_940, '59.9 s'],
    [59_960, '1 min 0 s'],
    [123_456, '2 min 3 s'],
    [3_599_600, '1 h 0 min'],
    [4_980_000, '1 h 23 min'],
  ];
  t.deepEqual(
    cases.map(([ms]) => duration(ms)),
    cases.map(([, text]) => text),
  );
});

test('a time has three digits, also where it rounds up to the next unit', (t) => {
  const cases: readonly [us: number, text: string][] = [
    [0.123, '0.12 us'],
    [999.7, '1.00 ms'],
    [999_700, '1.00 s'],
    [1_234_000_000, '1234 s'],
  ];
  t.deepEqual(
    cases.map(([us]) => timeInWords(us)),
    cases.map(([, text]) => text),
  );
});

test('bytes have three digits, also where they round up to the next unit', (t) => {
  const cases: readonly [count: number, text: string][] = [
    [0, '0 B'],
    [999, '999 B'],
    [999_400, '999 kB'],
    [999_700, '1.00 MB'],
    [1.234e15, '1.23 PB'],
  ];
  t.deepEqual(
    cases.map(([count]) => bytes(count)),
    cases.map(([, text]) => text),
  );
});

test('a name is one line without what a terminal would act upon, and the middle of a long one is left out', (t) => {
  t.is(printable('/blocks.0/attention/MatMul'), '/blocks.0/attention/MatMul');
  t.is(printable('a\n\u001B[2Jb\u009Bc\u007F'), 'a b ');
  t.is(printable('x'.repeat(48)), 'x'.repeat(48));
  const long = printable(`first${'\u{1F600}'.repeat(100)}last`);
  t.is(Array.from(long).length, 48);
  t.regex(long, /^first\u{1F600}{18}\.\.\.\u{1F600}{18}last$/u);
});

test('a table and the report of a plan keep to their lines, whatever ops are called', (t) => {
  t.is(table([['a\rb', '1']]), '  a b  1\n');
  const prediction = {
    iterationMs: 1,
    samplesPerSecond: 1,
    transferredBytes: 0,
    computeMs: 1,
    peakMemoryBytes: 0,
    feasible: true,
  };
  const plan = {
    version: PLAN_VERSION,
    soapstone: '',
    model: { name: 'm', fingerprint: '', batch: 1 },
    cluster: { name: 'c', devices: [], connections: [] },
    ops: {},
    prediction,
    baselines: {},
    origin: 'single',
  } as const;
  const name = `fc\u001B]0;owned\u0007${'y'.repeat(200)}`;
  const report = planReport(plan, [{ name, degrees: {}, devices: ['gpu\n0'], computeMs: 1, communicationMs: 0 }]);
  t.regex(report, /\n {2}fcy+\.\.\.y+ +whole +gpu 0 +1\.00 ms +-\n$/);
  const data = prediction;
  t.regex(planReport({ ...plan, baselines: { data, model: data } }, []), /\nexpert is left out: on so many devices/);
  t.regex(planReport({ ...plan, baselines: { data } }, []), /\nmodel parallel, expert are left out: on so many/);
  t.notRegex(planReport({ ...plan, baselines: { data, model: data, expert: data } }, []), /left out/);
});

test('a search whose time was over before its first proposal says so, and what gives it more', (t) => {
  const plan = lenetPlan('p100x2', 64);
  const search = { seed: 1, seconds: 1, beta: 20, chains: 2, start: ['data'], proposals: 0, accepted: 0 } as const;
  const report = (stoppedBy: string, proposals: number): string =>
    planReport({ ...plan, search: { ...search, stoppedBy, proposals } }, []);
  t.regex(
    report('budget', 0),
    /no proposal was tried: the 1\.00 s of the search were over .* give it more, by --seconds N/,
  );
  t.regex(report('budget', 2), /2 proposals, 0 accepted; stopped because its time was up/);
  t.notRegex(report('interrupted', 0), /--seconds/);
});
