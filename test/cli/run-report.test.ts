import test from 'ava';
import { shellWords } from '../../cli/command-line/shell-words.ts';
import type { RunResult } from '../../cli/run/run-result.ts';
import { resultReport } from '../../cli/run/run-report.ts';

const RESULT: RunResult = {
  job: 'mlp',
  devices: ['local/cpu0', 'local/cpu1'],
  strategy: 'search',
  steps: 60,
  losses: [2.3, 1.1],
  evaluation: undefined,
  samplesPerSecond: 445,
  iterationMs: { median: 33.4, p95: 51.1 },
  predictedIterationMs: 26.2,
  diverged: false,
  offBecause: undefined,
  transferredBytes: 7.19e6,
  links: [
    { from: 0, to: 1, measured: 0.4e9, planned: 2.1e9 },
    { from: 1, to: 0, measured: 2.0e9, planned: 2.1e9 },
  ],
  metrics: undefined,
  model: undefined,
  checkpoint: undefined,
  stopped: undefined,
};
const CURE = 'plan by what this machine does: soapstone profile job.yaml';

/** The lines of a report that tell of what is not as planned. */
function offLines(result: RunResult, isAssumed: boolean): string[] {
  return resultReport(result, { job: 'job.yaml', resume: undefined, isAssumed })
    .split('\n')
    .filter((line) => /^(the prediction|links|plan by)/.test(line));
}

test('links and predictions that are off are told, with the cure once where nothing was measured before', (t) => {
  const links = 'links: 0.40 GB/s measured, 2.1 GB/s planned, on 1 of 2';
  t.deepEqual(offLines(RESULT, true), [links, CURE]);
  t.deepEqual(offLines({ ...RESULT, offBecause: 'it is slow' }, true), [
    'the prediction is off: it is slow',
    links,
    CURE,
  ]);
});

test('whoever has profiled this machine is not sent to do so again', (t) => {
  t.deepEqual(offLines({ ...RESULT, offBecause: 'it is slow' }, false).length, 2);
});

test('where all is as planned there is no cure', (t) => {
  t.deepEqual(offLines({ ...RESULT, links: RESULT.links.slice(1) }, true), []);
});

test('a link that carries more than planned is no matter', (t) => {
  t.deepEqual(offLines({ ...RESULT, links: [{ from: 0, to: 1, measured: 5e9, planned: 2.1e9 }] }, true), []);
});

test('a run that was stopped says how to go on, where there is something to go on from', (t) => {
  const first = (step: number, resume: string | undefined): string | undefined =>
    resultReport({ ...RESULT, stopped: { step } }, { job: 'job.yaml', resume, isAssumed: false }).split('\n')[0];
  const resume = 'soapstone run job.yaml --steps 600 --resume';
  t.is(first(60, resume), `stopped after step 60; go on with: ${resume}`);
  t.regex(first(60, undefined)!, /^stopped after step 60; nothing was saved: give the job a checkpoint.directory/);
  t.is(first(0, resume), 'stopped before the first step');
});

test('a run that had nothing left to train tells how good the model is, and where', (t) => {
  const result = { ...RESULT, losses: [], evaluation: { loss: 0.1, accuracy: 0.987 }, model: 'trained.onnx' };
  const report = resultReport(result, { job: 'job.yaml', resume: undefined, isAssumed: true });
  t.is(report, 'accuracy: 98.70%\ntrained model: trained.onnx\n');
});

test('words of a command are quoted where a shell would take them apart', (t) => {
  t.is(shellWords(['run', 'my job.yaml', "it's"]), String.raw`run 'my job.yaml' 'it'\''s'`);
});
