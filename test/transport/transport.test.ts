import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import { timedTransport } from '../../runtime/transport/timed.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import { PeerError } from '../../runtime/transport/transport.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { webSocketOptions, webSocketTransports } from '../support/transports.ts';
import { TRANSPORT_CONTRACT } from './contract.ts';

const DEVICES = 3;

const IMPLEMENTATIONS: [string, (windowBytes: number | undefined) => Promise<Transport[]>][] = [
  ['in memory', (windowBytes) => Promise.resolve(createMemoryTransports(DEVICES, windowBytes))],
  [
    'over WebSocket and shared memory',
    (windowBytes) => {
      const neighbours = new Set(Array.from({ length: DEVICES }, (_, device) => device));
      return webSocketTransports(DEVICES, windowBytes === undefined ? { neighbours } : { neighbours, windowBytes });
    },
  ],
  ['that is timed', (windowBytes) => Promise.resolve(createMemoryTransports(DEVICES, windowBytes).map(timedTransport))],
  ['over WebSocket', (windowBytes) => webSocketTransports(DEVICES, windowBytes === undefined ? {} : { windowBytes })],
];

for (const [name, create] of IMPLEMENTATIONS) {
  for (const { sentence, windowBytes, run } of TRANSPORT_CONTRACT) {
    test(`a transport ${name} ${sentence}`, async (t) => {
      const transports = await create(windowBytes);
      await run(t, transports);
      await Promise.all(transports.map((transport) => transport.close()));
    });
  }
}

test('a taken port is named, with the cure', async (t) => {
  const [a] = await webSocketOptions(1);
  const [, b] = await webSocketOptions(2);
  const waiting = connectWebSocketTransport({ ...b!, connectTimeoutMs: 1000 });
  await t.throwsAsync(connectWebSocketTransport({ ...a!, listen: b!.listen }), {
    message: new RegExp(`${b!.listen.port}.*another process has the port`),
  });
  await t.throwsAsync(waiting, { message: /device 0 did not join in time/ });
});

test('a peer that does not come is named', async (t) => {
  const [a] = await webSocketOptions(2);
  await t.throwsAsync(connectWebSocketTransport({ ...a!, connectTimeoutMs: 300 }), {
    instanceOf: PeerError,
    message: /device 1/,
  });
});

test('devices that take any port meet at those that they tell; where nobody tells them, they end with a sentence', async (t) => {
  const transports = await webSocketTransports(3);
  t.deepEqual(
    transports.map(({ self }) => self),
    [0, 1, 2],
  );
  await Promise.all(transports.map((transport) => transport.close()));
  const [a] = await webSocketOptions(2);
  const untold: number[] = [];
  const waiting = connectWebSocketTransport({
    ...a!,
    listen: { ...a!.listen, port: 0 },
    connectTimeoutMs: 300,
    exchangePorts(own) {
      untold.push(own);
      return new Promise(() => undefined);
    },
  });
  await t.throwsAsync(waiting, { message: /ports of the other devices were not told in time/ });
  t.true(untold.length === 1 && untold[0]! > 0, `${untold}`);
});

test('what is waited for is counted by peer: what comes late, and what is there already costs next to nothing', async (t) => {
  const [a, b, c] = createMemoryTransports(DEVICES).map(timedTransport);
  const tag = { step: 0, task: 1, round: 0 };
  const late = a!.receive(1, tag, 1);
  const read = a!.read(1, { ...tag, round: 1 }, 1, () => undefined);
  await c!.send(0, tag, Uint8Array.of(3));
  await a!.receive(2, tag, 1);
  await sleep(100);
  await b!.send(0, tag, Uint8Array.of(1));
  await b!.send(0, { ...tag, round: 1 }, Uint8Array.of(2));
  await Promise.all([late, read]);
  const [slow = 0, quick = 0] = [1, 2].map((peer) => a!.awaitedSeconds().get(peer));
  t.true(slow >= 0.19, 'both messages were waited for, each by itself');
  t.true(quick < slow / 2);
  t.is(b!.awaitedSeconds().size, 0);
});

test('a message of more bytes than the wire counts is refused where it is sent, with a sentence', async (t) => {
  const [sender, receiver] = await webSocketTransports(2);
  const tag = { step: 0, task: 0, round: 0 };
  const bytes = 2 ** 31 + 4;
  const received = receiver!.receive(0, tag, bytes);
  // Only memory that is written to is taken.
  await t.throwsAsync(sender!.send(1, tag, new Uint8Array(bytes)), {
    instanceOf: RangeError,
    message: /has 2147483652 bytes; expected at most 2147483648: choose a plan/,
  });
  await Promise.all([t.throwsAsync(received), sender!.close('it cannot be sent'), receiver!.close()]);
});
