import test from 'ava';
import type { RunResult } from '../../cli/run/run-result.ts';
import { RunRecord } from '../../cli/run/run-result.ts';
import type { StepEvent } from '../../runtime/device/events.ts';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import { jobResource } from '../support/kubernetes.ts';
import { lenetPlan } from '../support/lenet-plan.ts';

const plan = lenetPlan('localx2', 64);
const parsed = parseTrainingJob(
  jobResource({
    training: {
      batchSize: 64,
      gradientAccumulationSteps: 4,
      steps: 100,
      loss: { name: 'crossEntropy' },
      optimizer: { name: 'sgd', learningRate: 0.1 },
    },
  }),
);
if ('problems' in parsed) throw new Error(JSON.stringify(parsed.problems));
const { job } = parsed;

/** Bytes that device 0 has sent its peer after each step, and device 1. */
const [SENT, SENT_BACK] = [1000, 30];

/** The result of steps that took so long, in milliseconds, as two devices tell them: the second hears no loss. */
function resultOf(...milliseconds: readonly number[]): RunResult {
  const record = new RunRecord();
  milliseconds.forEach((ms, step) => {
    record.observe(0, { ...stepOf(step, ms), loss: 1 / (step + 1), traffic: traffic(1, SENT * (step + 1)) });
    record.observe(1, { ...stepOf(step, 1000 * ms), traffic: traffic(0, SENT_BACK * (step + 1)) });
  });
  return record.result(job, plan);
}

function stepOf(step: number, ms: number): StepEvent {
  const times = { iterationSeconds: ms / 1000, doneMs: 0, computeSeconds: 0, waitSeconds: 0, collectiveSeconds: 0 };
  return { type: 'step', step, loss: undefined, ...times, traffic: [], awaited: [] };
}

function traffic(peer: number, sentBytes: number): StepEvent['traffic'] {
  return [[peer, { sentBytes, receivedBytes: 7, heldBytes: 5 }]];
}

test('times are those of the device that hears the losses, without the first three steps, which warm up', (t) => {
  const { iterationMs, steps, losses } = resultOf(900, 800, 700, 10, 20, 30);
  t.deepEqual(iterationMs, { median: 20, p95: 30 });
  t.deepEqual([steps, losses], [6, [1, 1 / 2, 1 / 3, 1 / 4, 1 / 5, 1 / 6]]);
});

test('a run of three steps has no others to take its times from', (t) => {
  t.deepEqual(resultOf(900, 800, 700).iterationMs, { median: 800, p95: 900 });
});

test('p95 is a time that at most five of a hundred steps exceed, in whatever order they come', (t) => {
  const descending = Array.from({ length: 100 }, (_, i) => 100 - i);
  const { iterationMs } = resultOf(1, 1, 1, ...descending);
  t.deepEqual(iterationMs, { median: 51, p95: 96 });
});

test('samples a second are those of the whole batch, all micro-batches and devices of it', (t) => {
  t.is(resultOf(900, 800, 700, 20, 20).samplesPerSecond, 64 / 0.02);
});

test('a run without steps trains no samples a second', (t) => {
  const { samplesPerSecond, iterationMs, transferredBytes } = resultOf();
  t.deepEqual([samplesPerSecond, iterationMs.p95, transferredBytes], [0, 0, 0]);
});

test('transferred bytes are what all devices have sent in the end, not step by step again', (t) => {
  t.is(resultOf(1, 1, 1, 1).transferredBytes, 4 * (SENT + SENT_BACK));
});

test('a run with no step left diverged where the run before did; one that trained on counts by its own last loss', (t) => {
  const diverged = [0, 1].map((steps) => {
    const record = new RunRecord();
    const predicted = { computeSeconds: 0, collectiveSeconds: 0 };
    record.observe(0, { type: 'ready', steps, firstStep: 0, endedDiverged: true, provider: 'cpu', predicted });
    if (steps > 0) record.observe(0, { ...stepOf(0, 1), loss: 1 });
    return record.result(job, plan).diverged;
  });
  t.deepEqual(diverged, [true, false]);
});
