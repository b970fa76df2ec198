import { once } from 'node:events';
import { WebSocket } from 'ws';
import { Caller } from '../../../runtime/transport/authentication.ts';
import type { Transport } from '../../../runtime/transport/transport.ts';
import { PeerError } from '../../../runtime/transport/transport.ts';
import { connectWebSocketTransport } from '../../../runtime/transport/websocket.ts';
import type { FuzzTarget } from '../target.ts';
import { creditFrame, joinFrames, splitFrames, validStreams } from './wire.ts';

const HOST = '127.0.0.1';
const IDENTITY = { token: 'secret', session: 'fuzz/1' };

/** Proves itself as device 0 to a device that listens. */
async function enter(port: number): Promise<WebSocket> {
  const caller = new Caller({ ...IDENTITY, self: 0 }, 1);
  const open = (authorization: string): WebSocket =>
    new WebSocket(`ws://${HOST}:${port}`, { headers: { authorization }, perMessageDeflate: false });
  const first = open(caller.greeting());
  const challenge = await new Promise<string | undefined>((resolve) => {
    first.on('error', () => resolve(undefined));
    first.on('unexpected-response', (request, { headers }) => {
      request.destroy();
      resolve(headers['www-authenticate']);
    });
  });
  const answer = caller.answer(challenge);
  if (answer === undefined) throw new TypeError('the device gave no challenge');
  const socket = open(answer);
  await once(socket, 'open');
  return socket.on('error', () => undefined);
}

/** A device that listens on a real socket, and a peer that knows the token but sends what it should not. */
export const liveDevice: FuzzTarget = {
  name: 'a live device',
  share: 5,
  seeds: () => Promise.resolve(validStreams().map(joinFrames)),
  refusals: [PeerError],
  async read(input) {
    const port = Promise.withResolvers<number>();
    const connecting = connectWebSocketTransport({
      ...IDENTITY,
      self: 1,
      listen: { host: HOST, port: 0 },
      peers: new Map([[0, { host: HOST, port: 0 }]]),
      exchangePorts(own) {
        port.resolve(own);
        return Promise.resolve(new Map());
      },
      connectTimeoutMs: 5000,
    });
    let device: Transport | undefined;
    connecting.then(
      (transport) => (device = transport),
      () => undefined,
    );
    const socket = await enter(await port.promise);
    for (const frame of [creditFrame(), ...splitFrames(input)]) socket.send(frame);
    socket.close();
    const outcome = connecting.then((transport) => transport.receive(0, { step: 1, task: 2, round: 0 }, 40));
    try {
      await outcome;
    } finally {
      await device?.close();
      socket.terminate();
    }
  },
};
