import process from 'node:process';
import test from 'ava';
import { typicalStep } from '../../cli/profile/typical-step.ts';
import { decodeSpans, encodeSpans } from '../../runtime/profile/recorded-spans.ts';
import { Recorder } from '../../runtime/program/recorder.ts';

/** Computes until this process has used so much more CPU time. */
function compute(us: number): void {
  const before = process.cpuUsage();
  const usedUs = (): number => {
    const { user, system } = process.cpuUsage(before);
    return user + system;
  };
  while (usedUs() < us);
}

test('a span says what the process computed in it, of steps that are recorded', (t) => {
  const recorder = new Recorder({ skip: 1, count: 1 });
  recorder.begin(0);
  t.is(recorder.cpuMs(), undefined);
  recorder.begin(1);
  const [startMs, sinceCpuMs] = [performance.now(), recorder.cpuMs()];
  compute(3000);
  recorder.record('segment', [1], startMs, sinceCpuMs);
  recorder.record('wait', [2], startMs);
  recorder.begin(2);
  recorder.record('segment', [1], startMs, sinceCpuMs);
  const spans = recorder.take();
  t.deepEqual(
    spans.map(({ kind, step }) => [kind, step]),
    [
      ['segment', 1],
      ['wait', 1],
    ],
  );
  t.true(spans[0]!.cpuMs! >= 3);
  t.false('cpuMs' in spans[1]!);
  const recorded = new Map([[0, spans]]);
  t.deepEqual(decodeSpans(encodeSpans(recorded), 'a test'), recorded);
});

test('of many recorded steps the last ones are kept where no more are asked for, and each is taken once', (t) => {
  const recorder = new Recorder({ skip: 1, count: 6, keeps: 3 });
  for (let step = 0; step < 9; step++) {
    recorder.begin(step);
    recorder.record('load', [], performance.now());
    recorder.record('step', [], performance.now());
  }
  const steps = recorder.take().map(({ step }) => step);
  t.deepEqual(steps, [4, 4, 5, 5, 6, 6]);
  t.deepEqual(recorder.take(), []);
});

test('a typical step has the middle CPU time of alike spans', (t) => {
  const step = (at: number, cpuMs: number) => [
    { kind: 'step' as const, step: at, tasks: [], startMs: 10 * at, endMs: 10 * at + 9 },
    { kind: 'update' as const, step: at, tasks: [4], startMs: 10 * at + 1, endMs: 10 * at + 8, cpuMs },
  ];
  const [, update] = typicalStep([...step(0, 5), ...step(1, 1), ...step(2, 3)]);
  t.is(update!.cpuMs, 3);
});
