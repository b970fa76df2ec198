import { existsSync, writeFileSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import type { DeviceEvent } from '../../runtime/device/events.ts';
import { runDevice } from '../../runtime/device/run-device.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { mlpOrders, onMachinesOfTheirOwn } from '../support/device-orders.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';

const DEVICES = 2;
/** Steps after which a run ends that was told to from the beginning. */
const STOPS_AFTER = 2;

interface Run {
  readonly t: ExecutionContext;
  readonly steps: number;
  readonly spec?: Partial<TrainingJob['spec']>;
  /** Where checkpoints go. */
  readonly directory?: string;
  readonly onEvent?: (event: DeviceEvent) => void;
}

/** A job on two devices in this process that is told to stop as it begins. Returns the events of the first device. */
async function stoppedRun({ t, steps, spec, directory, onEvent }: Run): Promise<DeviceEvent[]> {
  const all = (await mlpOrders(DEVICES, steps, spec)).map(onMachinesOfTheirOwn);
  const heard = all.map((): DeviceEvent[] => []);
  const ties = { stop: AbortSignal.abort(), ports: Promise.resolve(new Map<number, number>()) };
  const runs = all.map((orders, device) => {
    const report = (event: DeviceEvent): void => {
      heard[device]!.push(event);
      if (device === 0) onEvent?.(event);
    };
    return runDevice({ ...orders, checkpointStorage: directory }, { ...ties, report });
  });
  await Promise.all(runs);
  t.deepEqual(heard[0]!.at(-1), heard[1]!.at(-1), 'all devices end in the same way');
  return heard[0]!;
}

async function folder(t: ExecutionContext): Promise<string> {
  const directory = await temporaryFolder(t);
  return directory;
}

/** An evaluation of one batch. */
const evaluation = { dataset: { synthetic: { samples: 64 }, shuffle: false } };

const checkpoint = { directory: 'checkpoints', everySteps: STOPS_AFTER, keep: 2 };

test.serial('a run that has trained its last step when it is to stop is done', async (t) => {
  const events = await stoppedRun({ t, steps: STOPS_AFTER });
  t.deepEqual(events.at(-1), { type: 'done' });
  t.is(events.filter(({ type }) => type === 'step').length, STOPS_AFTER);
});

test.serial('a run is done with its evaluation, and has stopped where that was cut short', async (t) => {
  const whole = await stoppedRun({ t, steps: STOPS_AFTER - 1, spec: { evaluation } });
  t.deepEqual(whole.at(-1), { type: 'done' });
  t.is(whole.filter(({ type }) => type === 'evaluation').length, 1);
  const cut = await stoppedRun({ t, steps: STOPS_AFTER, spec: { evaluation } });
  t.deepEqual(cut.at(-1), { type: 'stopped', step: STOPS_AFTER });
  t.is(cut.filter(({ type }) => type === 'evaluation').length, 0);
});

test.serial('a run that stops right after a checkpoint writes no other', async (t) => {
  const directory = await folder(t);
  const events = await stoppedRun({ t, steps: 10, spec: { checkpoint }, directory });
  t.deepEqual(events.at(-1), { type: 'stopped', step: STOPS_AFTER });
  t.is(events.filter(({ type }) => type === 'checkpoint').length, 1);
});

test.serial('a run that stops right after a checkpoint that failed tries again', async (t) => {
  const directory = await folder(t);
  // In the place of the folder; whoever gives the checkpoint up removes it.
  const obstacle = join(directory, 'checkpoints', '.step-00000002.partial');
  const events = await stoppedRun({
    t,
    steps: 10,
    spec: { checkpoint },
    directory,
    onEvent: ({ type }) => type === 'ready' && writeFileSync(obstacle, ''),
  });
  const notices = events.flatMap((event) => (event.type === 'notice' ? [event.message] : []));
  t.true(
    notices.some((notice) => /^no checkpoint after 2 steps: .*; the run goes without/.test(notice)),
    notices.join('\n'),
  );
  t.deepEqual(events.at(-1), { type: 'stopped', step: STOPS_AFTER });
  t.deepEqual(await readdir(join(directory, 'checkpoints')), ['step-00000002']);
  t.false(existsSync(obstacle));
});
