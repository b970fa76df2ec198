import test from 'ava';
import { podExit } from '../../cli/command-line/pod-exit.ts';
import { MissingFileError } from '../../runtime/storage/missing-file.ts';
import { PeerError } from '../../runtime/transport/transport.ts';

const exitOf = (error: Error): Promise<number> => podExit(() => Promise.reject(error));
const within = (cause: Error): Error => new Error(`step 3: ${cause.message}`, { cause });

test('the exit code of a pod tells a file that is not there and a lost peer from any other failure', async (t) => {
  t.is(await podExit(() => Promise.resolve(143)), 143);
  t.is(await exitOf(within(new MissingFileError('no data.idx'))), 66);
  const lost = new PeerError(1, 'device 1 is lost: it has not answered for 3 s');
  t.is(await exitOf(lost), 69);
  t.is(await exitOf(within(lost)), 69);
});

test('a peer that never came or breaks the protocol is a failure as any other', async (t) => {
  const fault = within(new PeerError(1, 'device 1 did not join in time', { isFault: true }));
  t.is(await t.throwsAsync(exitOf(fault)), fault);
});
