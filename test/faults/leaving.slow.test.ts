import process from 'node:process';
import test from 'ava';
import { runWorker } from '../../runtime/worker/worker.ts';
import { twoDevices } from '../support/two-pods.ts';

/**
 * Makes a device's process sleep between saying that it is done and saying goodbye, and the first device take long to open its
 * part of a checkpoint: when it asks what has become of the other parts, the other device has told it and left.
 */
const SLOW = `
import fs from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
const { open } = fs;
fs.open = async (path, ...rest) => {
  if (/model-00001-of-/.test(String(path))) await new Promise((resolve) => setTimeout(resolve, 1000));
  return open(path, ...rest);
};
syncBuiltinESMExports();
const send = process.send;
process.send = (message, ...rest) => {
  const sent = send.call(process, message, ...rest);
  if (message.type === 'done') Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  return sent;
};`;

test('pods whose devices are done before others, and slow to leave, let all end well', async (t) => {
  const options = await twoDevices(t, { directory: 'checkpoints', everySteps: 20, keep: 1 });
  process.env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(SLOW)}`;
  const pods = [0, 1].map((device) => runWorker({ ...options, devices: [device] }));
  t.deepEqual(await Promise.all(pods), [
    { kind: 'done', isDiverged: false },
    { kind: 'done', isDiverged: false },
  ]);
});
