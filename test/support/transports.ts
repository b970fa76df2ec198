import type { Transport } from '../../runtime/transport/transport.ts';
import type { WebSocketTransportOptions } from '../../runtime/transport/websocket.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { freePorts } from './ports.ts';

export const HOST = '127.0.0.1';

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

/** The devices of one job in this process, joined over WebSockets. */
export async function webSocketTransports(
  count: number,
  common: Partial<WebSocketTransportOptions> = {},
): Promise<Transport[]> {
  const options = await webSocketOptions(count, common);
  return Promise.all(options.map((each) => connectWebSocketTransport(each)));
}
