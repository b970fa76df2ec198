import test from 'ava';
import { DevicePaces } from '../../cli/run/device-paces.ts';
import type { StepEvent } from '../../runtime/device/events.ts';
import { lenetPlan } from '../support/lenet-plan.ts';

const plan = lenetPlan('localx2', 64);
const { iterationMs } = plan.prediction;
/** What each device should compute in a step. */
const [PREDICTED_MS, STEPS] = [5, 20];

interface Told {
  readonly computeMs: number;
  readonly waitMs?: number;
  /** What of it nothing else was done in; all of it where left out. */
  readonly idleMs?: number;
  readonly op?: string;
}

/** Two devices after some steps, of which the first takes very long, as those that compile do. */
function paces(...told: readonly Told[]): DevicePaces {
  const found = new DevicePaces();
  for (const [device, { computeMs, waitMs = 0, idleMs = waitMs, op }] of told.entries()) {
    const predicted = { computeSeconds: PREDICTED_MS / 1000, collectiveSeconds: 0 };
    found.observe(device, { type: 'ready', steps: STEPS, firstStep: 0, provider: 'cpu', predicted });
    for (let step = 0; step < STEPS; step++) {
      const total = (ms: number): number => (1000 + step * ms) / 1000;
      const event: StepEvent = {
        type: 'step',
        step,
        loss: undefined,
        iterationSeconds: 0,
        doneMs: 0,
        farthestOp: op !== undefined && step === 10 ? { op, seconds: 0.009, predictedSeconds: 0.001 } : undefined,
        computeSeconds: total(computeMs),
        waitSeconds: total(idleMs),
        collectiveSeconds: 0,
        traffic: [],
        awaited: [[1 - device, total(waitMs)]],
      };
      found.observe(device, event);
    }
  }
  return found;
}

const links = [{ from: 1, to: 0, measuredBytesPerSec: 0.2e9, plannedBytesPerSec: 3e9 }];

for (const [title, devices, ratio, expected] of [
  ['right', [{ computeMs: 5 }, { computeMs: 5 }], 1.2, undefined],
  [
    'off by a slow device, with its op',
    [{ computeMs: 5 }, { computeMs: 12, op: 'conv1' }],
    3,
    /^12\.0 ms of it device local\/cpu1 computes, 5\.00 ms predicted \(most of all op conv1: 9\.00 ms, 1\.00 ms predicted\)/,
  ],
  [
    'off by a link, with its speed; what is waited for while kernels run does not count',
    [{ computeMs: 5, waitMs: 1000, idleMs: 4 }, { computeMs: 5 }],
    3,
    /^4\.00 ms of it device local\/cpu0 waits for messages of local\/cpu1; .* 0\.2 GB\/s were measured/,
  ],
  ['off by a fast op', [{ computeMs: 1 }, { computeMs: 1 }], 0.5, /^messages and waiting take less/],
] as const) {
  test(`a prediction is ${title}`, (t) => {
    const why = paces(...devices).whyOff(plan, ratio * iterationMs, links);
    if (expected === undefined) t.is(why, undefined);
    else t.regex(why ?? '', expected);
  });
}

test('a run without steps has nothing to say', (t) => {
  t.is(new DevicePaces().whyOff(plan, 0, []), undefined);
});
