import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { MessageTime } from '../../soap/cost/cost-table.ts';
import type { MessageTag, Transport } from '../transport/transport.ts';
import { connectWebSocketTransport } from '../transport/websocket.ts';
import { quietTiming } from './measure-kernel.ts';

const PROGRAM = fileURLToPath(new URL('echo-main.ts', import.meta.url));
const HOST = '127.0.0.1';
const CONNECT_TIMEOUT_MS = 10_000;

const KIB = 1024;
const SIZES = [4, 4 * KIB, 64 * KIB, 1024 * KIB, 8 * 1024 * KIB];

/** Bytes that all rounds of a size come to, and how many rounds there are at least and at most. */
const [TOTAL_BYTES, MIN_ROUNDS, MAX_ROUNDS] = [64 * 1024 * KIB, 8, 200];
/** First rounds, which do not count. */
const WARM_UP_SHARE = 0.2;

/** What the other end is told. */
export interface EchoOrders {
  readonly token: string;
  readonly sizes: readonly number[];
}

/** Times messages between two processes of this machine over the transport of training, for several sizes. */
export async function measureMessages(): Promise<MessageTime[]> {
  const orders: EchoOrders = { token: randomBytes(32).toString('hex'), sizes: SIZES };
  const child = fork(PROGRAM, { serialization: 'advanced', stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const listening = once(child, 'message');
  child.send(orders);
  try {
    const transport = await connectEnds(0, orders, async () => {
      const [port]: number[] = await listening;
      return port!;
    });
    const times: MessageTime[] = [];
    for (const bytes of SIZES) times.push({ bytes, us: await oneWayUs(transport, bytes) });
    await ended;
    await transport.close();
    return times;
  } finally {
    child.kill();
  }
}

/**
 * One end of the connection.
 * @param portOfOther told the port of this end, gives that of the other
 */
export function connectEnds(
  self: 0 | 1,
  { token }: EchoOrders,
  portOfOther: (own: number) => Promise<number>,
): Promise<Transport> {
  const peer = 1 - self;
  return connectWebSocketTransport({
    self,
    token,
    session: 'profile/1',
    listen: { host: HOST, port: 0 },
    peers: new Map([[peer, { host: HOST, port: 0 }]]),
    exchangePorts: async (own) => new Map([[peer, await portOfOther(own)]]),
    connectTimeoutMs: CONNECT_TIMEOUT_MS,
  });
}

/** How often a message of a size goes there and back. */
export function rounds(bytes: number): number {
  return Math.min(MAX_ROUNDS, Math.max(MIN_ROUNDS, Math.floor(TOTAL_BYTES / bytes)));
}

export function tagOf(bytes: number, round: number): MessageTag {
  return { step: SIZES.indexOf(bytes), task: 0, round };
}

/** Half of the time there and back. */
async function oneWayUs(transport: Transport, bytes: number): Promise<number> {
  const payload = new Uint8Array(bytes);
  const times: number[] = [];
  for (let round = 0; round < rounds(bytes); round++) {
    const startMs = performance.now();
    await transport.send(1, tagOf(bytes, round), payload);
    await transport.receive(1, tagOf(bytes, round), bytes);
    times.push((performance.now() - startMs) * 500);
  }
  return quietTiming(times.slice(Math.ceil(WARM_UP_SHARE * times.length))).us;
}
