import { createServer } from 'node:net';
import test from 'ava';
import { WebSocket } from 'ws';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import { PeerError } from '../../runtime/transport/transport.ts';
import type { WebSocketTransportOptions } from '../../runtime/transport/websocket.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { TRANSPORT_CONTRACT } from './contract.ts';

const HOST = '127.0.0.1';

async function freePorts(count: number): Promise<number[]> {
  const servers = await Promise.all(
    Array.from(
      { length: count },
      () =>
        new Promise<ReturnType<typeof createServer>>((resolve) => {
          const server = createServer().listen(0, HOST, () => resolve(server));
        }),
    ),
  );
  const ports = servers.map((server) => {
    const address = server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  });
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

async function options(count: number): Promise<WebSocketTransportOptions[]> {
  const ports = await freePorts(count);
  return ports.map((port, self) => ({
    self,
    token: 'secret',
    session: 'test/1',
    listen: { host: HOST, port },
    peers: new Map(ports.flatMap((other, peer) => (peer === self ? [] : [[peer, { host: HOST, port: other }]]))),
    connectTimeoutMs: 5000,
  }));
}

async function webSockets(count: number): Promise<Transport[]> {
  return Promise.all((await options(count)).map(connectWebSocketTransport));
}

const IMPLEMENTATIONS: [string, (count: number) => Promise<Transport[]>][] = [
  ['in memory', (count) => Promise.resolve(createMemoryTransports(count))],
  ['over WebSocket', webSockets],
];

for (const [name, create] of IMPLEMENTATIONS) {
  for (const [sentence, check] of TRANSPORT_CONTRACT) {
    test(`a transport ${name} ${sentence}`, async (t) => {
      const transports = await create(3);
      await check(t, transports);
      await Promise.all(transports.map((transport) => transport.close()));
    });
  }
}

test('a device with another token is refused, and the refusal names why', async (t) => {
  const [a, b] = await options(2);
  const wrong = { ...b!, token: 'guess', connectTimeoutMs: 1000 };
  const [first, second] = await Promise.allSettled([
    connectWebSocketTransport({ ...a!, connectTimeoutMs: 1000 }),
    connectWebSocketTransport(wrong),
  ]);
  t.is(first.status, 'rejected');
  t.is(second.status, 'rejected');
  if (first.status === 'rejected') t.regex(String(first.reason), /does not know the job's token|did not join/);
});

test('a stranger who sends garbage is cut off and harms no one', async (t) => {
  const [a, b] = await options(2);
  const connecting = connectWebSocketTransport(b!);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const stranger = new WebSocket(`ws://${HOST}:${b!.listen.port}`);
  const closed = new Promise((resolve) => stranger.once('close', resolve));
  stranger.once('open', () => stranger.send(Buffer.from('f'.repeat(500))));
  await closed;
  const [first, second] = await Promise.all([connectWebSocketTransport(a!), connecting]);
  await first.send(1, { step: 0, task: 0, round: 0 }, Uint8Array.of(1));
  t.is((await second.receive(0, { step: 0, task: 0, round: 0 })).length, 1);
  await Promise.all([first.close(), second.close()]);
});

test('a taken port is named, with the cure', async (t) => {
  const [a] = await options(1);
  const first = await connectWebSocketTransport(a!);
  await t.throwsAsync(connectWebSocketTransport(a!), {
    message: new RegExp(`${a!.listen.port}.*another process has the port`),
  });
  await first.close();
});

test('a peer that does not come is named', async (t) => {
  const [a] = await options(2);
  await t.throwsAsync(connectWebSocketTransport({ ...a!, connectTimeoutMs: 300 }), {
    instanceOf: PeerError,
    message: /device 1/,
  });
});
