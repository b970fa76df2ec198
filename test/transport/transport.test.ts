import test from 'ava';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
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
