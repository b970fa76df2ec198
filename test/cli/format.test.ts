import test from 'ava';
import { bytes, duration } from '../../cli/terminal/format.ts';
import { timeInWords } from '../../soap/explain/words.ts';

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
