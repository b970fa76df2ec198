import { loadavg, availableParallelism } from 'node:os';
import process from 'node:process';
import test from 'ava';
import type { DeviceProcess } from '../support/device-processes.ts';
import { startDevices } from '../support/device-processes.ts';
import type { FrameProxy } from '../support/frame-proxy.ts';
import { startProxy } from '../support/frame-proxy.ts';

/** What survivors may take to stop; on a machine that is busy with other things, in proportion. */
const LIMIT_MS = 5000 * Math.max(1, loadavg()[0]! / (2 * availableParallelism()));

const hasTrained = (steps: number) => (event: { type: string; step?: number }) =>
  event.type === 'step' && event.step !== undefined && event.step >= steps;

/** Lets something happen in mid-step, and waits for the survivors. Returns what each said, and how long the last one took. */
async function survivorsOf(
  devices: DeviceProcess[],
  lost: readonly number[],
  act: () => void,
): Promise<{ messages: (string | undefined)[]; ms: number }> {
  await devices[0]!.event(hasTrained(5));
  const start = performance.now();
  act();
  const ends = await Promise.all(devices.filter((_, device) => !lost.includes(device)).map(({ ended }) => ended));
  for (const { child } of devices) child.kill('SIGKILL');
  return { messages: ends.map(({ message }) => message), ms: Math.max(...ends.map(({ atMs }) => atMs)) - start };
}

for (const [signal, pattern] of [
  ['SIGKILL', /^step \d+: device 1 is lost: it closed the connection(?!.*(has left|heard.*heard))/],
  ['SIGSTOP', /^step \d+: device 1 is lost: it has not answered for 3 s(?!.*(has left|heard.*heard))/],
] as const) {
  test.serial(`a device that gets ${signal} in mid-step ends the others, who name it and the step`, async (t) => {
    const devices = await startDevices({ count: 4 });
    const { messages, ms } = await survivorsOf(devices, [1], () => devices[1]!.child.kill(signal));
    t.log(`${ms.toFixed(0)} ms`);
    for (const message of messages) t.regex(String(message), pattern);
    t.true(ms < LIMIT_MS, `${ms} ms`);
  });
}

/** Lets a device's JavaScript thread compute for longer than a silent peer has. */
const BUSY = `
process.on('SIGUSR2', () => {
  for (const until = performance.now() + 4500; performance.now() < until; );
});`;

test.serial(
  'a device whose JavaScript thread is busy for 4.5 s is not lost to the others of its machine',
  async (t) => {
    process.env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(BUSY)}`;
    const devices = await startDevices({ count: 2 });
    delete process.env['NODE_OPTIONS'];
    t.teardown(() => devices.forEach(({ child }) => child.kill('SIGKILL')));
    await devices[0]!.event(hasTrained(5));
    devices[1]!.child.kill('SIGUSR2');
    const { events } = devices[1]!;
    const before = events.length;
    // No event of its own comes while it is busy, so that the steps after are those that it has survived.
    await devices[1]!.event((event) => event.type === 'step' && event.iterationSeconds > 4);
    t.true(events.length > before);
  },
);

for (const [what, act, pattern] of [
  ['cut', (proxy: FrameProxy) => proxy.cut(), /is lost: (it closed the connection|its connection failed)/],
  ['silent', (proxy: FrameProxy) => proxy.stall(), /is lost: it has not answered for 3 s: stopped, or cut off/],
] as const) {
  test.serial(
    `a connection that is ${what} in mid-step ends both sides, who name each other and the step`,
    async (t) => {
      const proxy = await startProxy();
      t.teardown(() => proxy.close());
      const devices = await startDevices({ count: 2, through: proxy });
      const { messages, ms } = await survivorsOf(devices, [], () => act(proxy));
      t.log(`${ms.toFixed(0)} ms`);
      for (const [device, message] of messages.entries()) {
        t.regex(String(message), new RegExp(`^step \\d+: device ${1 - device} `));
      }
      t.true(
        messages.some((message) => pattern.test(String(message))),
        messages.join('\n'),
      );
      t.true(ms < LIMIT_MS, `${ms} ms`);
    },
  );
}
