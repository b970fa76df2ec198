import { once } from 'node:events';
import type { Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import type { Transport } from '../../runtime/transport/transport.ts';
import type { WebSocketTransportOptions } from '../../runtime/transport/websocket.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { freePorts } from './ports.ts';

export const HOST = '127.0.0.1';

/** A connection's two ends: the caller's, and what the callee accepted. */
export async function connected(): Promise<[Socket, Socket]> {
  const server = createServer().listen(0, HOST);
  await once(server, 'listening');
  const address = server.address();
  const caller = connect(typeof address === 'object' && address !== null ? address.port : 0, HOST);
  const [callee]: Socket[] = await once(server, 'connection');
  server.close();
  return [caller, callee!];
}

/** Options of the devices of one job on this machine. */
export async function webSocketOptions(
  count: number,
  common: Partial<WebSocketTransportOptions> = {},
): Promise<WebSocketTransportOptions[]> {
  const ports = await freePorts(count);
  return ports.map((port, self) => ({
    self,
    token: 'secret',
    session: 'test/1',
    listen: { host: HOST, port },
    peers: new Map(ports.flatMap((other, peer) => (peer === self ? [] : [[peer, { host: HOST, port: other }]]))),
    connectTimeoutMs: 60_000,
    ...common,
  }));
}

/** The devices of one job in this process, joined over WebSockets. Each takes a free port. */
export async function webSocketTransports(
  count: number,
  common: Partial<WebSocketTransportOptions> = {},
): Promise<Transport[]> {
  const ports = new Map<number, number>();
  const all = Promise.withResolvers<ReadonlyMap<number, number>>();
  const ids = Array.from({ length: count }, (_, device) => device);
  const anywhere = { host: HOST, port: 0 };
  return Promise.all(
    ids.map((self) =>
      connectWebSocketTransport({
        self,
        token: 'secret',
        session: 'test/1',
        listen: anywhere,
        connectTimeoutMs: 60_000,
        peers: new Map(ids.filter((peer) => peer !== self).map((peer) => [peer, anywhere])),
        exchangePorts(own) {
          ports.set(self, own);
          if (ports.size === count) all.resolve(ports);
          return all.promise;
        },
        ...common,
      }),
    ),
  );
}
