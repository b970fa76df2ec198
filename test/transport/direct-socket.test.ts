import { once } from 'node:events';
import test from 'ava';
import { readDirectly } from '../../runtime/transport/direct-socket.ts';
import { connected } from '../support/transports.ts';

test('what comes is written where the taker says, by a socket without a stream of chunks, and the end is seen', async (t) => {
  const [caller, callee] = await connected();
  const sent = Uint8Array.from({ length: 3_000_000 }, (_, i) => i % 251);
  const memory = new Uint8Array(sent.length + 1);
  let filled = 0;
  const socket = readDirectly(callee, {
    next: () => memory.subarray(filled, filled + 1_000_000),
    took: (count) => void (filled += count),
  });
  t.not(socket, callee, 'this version of Node lets a connection have another socket');
  let chunks = 0;
  socket.on('data', () => (chunks += 1));
  const closed = once(socket, 'close');
  caller.write(sent);
  socket.write('ok');
  const [answer]: Buffer[] = await once(caller, 'data');
  t.is(String(answer), 'ok');
  caller.end();
  await closed;
  t.is(filled, sent.length);
  t.true(Buffer.from(sent).equals(memory.subarray(0, filled)));
  t.is(chunks, 0);
});

test('a connection that breaks is reported to its new socket', async (t) => {
  const [caller, callee] = await connected();
  const socket = readDirectly(callee, { next: () => new Uint8Array(10), took: () => undefined });
  const closed = new Promise((resolve) => socket.once('close', resolve));
  const failed = once(socket, 'error');
  caller.resetAndDestroy();
  const [error]: NodeJS.ErrnoException[] = await failed;
  t.is(error?.code, 'ECONNRESET');
  await closed;
});
