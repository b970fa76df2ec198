import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import test from 'ava';
import { Registry } from 'prom-client';
import { serveMetrics } from '../../runtime/metrics/server.ts';
import { listen } from '../../runtime/transport/listen.ts';
import { listenForPeers } from '../../runtime/transport/server.ts';

const ANYWHERE = { host: '127.0.0.1', port: 0 };

test('a connection that cannot be taken is told each time, and ends nothing', async (t) => {
  const told: string[] = [];
  const server = createServer();
  t.teardown(() => void server.close());
  await listen(server, ANYWHERE, 'cannot listen on', ({ message }) => told.push(message));
  for (let i = 0; i < 3; i++) server.emit('error', new Error(`accept EMFILE ${i}`));
  t.deepEqual(told, ['accept EMFILE 0', 'accept EMFILE 1', 'accept EMFILE 2']);
});

test('whoever meets a taken port is told which, and the cure', async (t) => {
  const server = createServer();
  t.teardown(() => void server.close());
  await listen(server, ANYWHERE, 'cannot listen on', () => undefined);
  const { port = 0 }: Partial<AddressInfo> = Object(server.address());
  const taken = { ...ANYWHERE, port };
  const cure = `127.0.0.1:${port}; another process has the port: stop it, or choose another port`;
  await t.throwsAsync(
    serveMetrics(new Registry(), taken, () => ''),
    { message: `cannot serve metrics on ${cure}` },
  );
  const peers = {
    identity: { self: 0, token: 'a token', session: 'a session' },
    listen: taken,
    tls: undefined,
    refusal: () => undefined,
    onPeer: () => t.fail(),
    onRefused: () => t.fail(),
  };
  await t.throwsAsync(listenForPeers(peers), { message: `device cannot listen on ${cure}` });
});
