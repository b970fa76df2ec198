import process from 'node:process';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { lostPeerOf } from '../../runtime/transport/transport.ts';
import { runWorker } from '../../runtime/worker/worker.ts';
import { twoDevices } from '../support/two-pods.ts';

/** Makes device 1 close its connections in mid-run and die half a second later: its peers know of it before its worker does. */
const DYING = `
let device;
process.once('message', (orders) => (device = orders.device));
const send = process.send;
process.send = (message, ...rest) => {
  if (device === 1 && message.type === 'step' && message.step >= 3) {
    for (const handle of process._getActiveHandles()) if (handle.constructor.name.endsWith('Socket')) handle.destroy();
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
    process.kill(process.pid, 'SIGKILL');
  }
  return send.call(process, message, ...rest);
};`;

/** Trains on two devices, of which device 1 dies. Returns the errors of the pods. @param pods the devices of each */
async function failuresOf(t: ExecutionContext, pods: readonly (readonly number[])[]): Promise<unknown[]> {
  const options = await twoDevices(t);
  process.env['NODE_OPTIONS'] = `--import=data:text/javascript,${encodeURIComponent(DYING)}`;
  const runs = pods.map((devices) => runWorker({ ...options, devices }));
  const ends = await Promise.allSettled(runs);
  return ends.map((end) => (end.status === 'rejected' ? end.reason : undefined));
}

test.serial(
  'a pod whose device dies fails with that, though another of its devices says first that it lost it',
  async (t) => {
    const [failure] = await failuresOf(t, [[0, 1]]);
    t.regex(String(failure), /the process of device 1 was killed by SIGKILL in step \d+/);
    t.is(lostPeerOf(failure), undefined);
  },
);

test.serial(
  'a pod that lost a device of another fails with that, where the other fails with how it died',
  async (t) => {
    const [lost, died] = await failuresOf(t, [[0], [1]]);
    t.regex(String(lost), /device 0, step \d+: device 1 is lost/);
    t.is(lostPeerOf(lost), 1);
    t.regex(String(died), /the process of device 1 was killed by SIGKILL/);
    t.is(lostPeerOf(died), undefined);
  },
);
