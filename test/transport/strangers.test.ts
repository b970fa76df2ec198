import { once } from 'node:events';
import { connect } from 'node:net';
import test from 'ava';
import { WebSocket } from 'ws';
import { Callee, Caller } from '../../runtime/transport/authentication.ts';
import { listenForPeers } from '../../runtime/transport/server.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { HOST, webSocketOptions } from '../support/transports.ts';

const IDENTITY = { self: 1, token: 'secret', session: 'job/1' };
const CALLER = { ...IDENTITY, self: 0 };

/** Goes through the handshake. Returns what the callee says to the answer. */
function meet(caller: Caller, callee: Callee, laterMs = 0): ReturnType<Callee['judge']> {
  const first = callee.judge(caller.greeting(), 1e12);
  return callee.judge(first.kind === 'challenge' ? caller.answer(first.header) : undefined, 1e12 + laterMs);
}

test('two devices that know the token prove it to each other', (t) => {
  const caller = new Caller(CALLER, 1);
  const verdict = meet(caller, new Callee(IDENTITY));
  t.is(verdict.kind, 'welcome');
  t.true(verdict.kind === 'welcome' && verdict.device === 0 && caller.isProof(verdict.proof));
});

test('another token, attempt, device or an old challenge is refused', (t) => {
  const refused = (caller: Caller, laterMs = 0): string => {
    const verdict = meet(caller, new Callee(IDENTITY), laterMs);
    return verdict.kind === 'refusal' ? verdict.reason : verdict.kind;
  };
  t.regex(refused(new Caller({ ...CALLER, token: 'guess' }, 1)), /device 0 does not know the job's token/);
  t.regex(refused(new Caller({ ...CALLER, session: 'job/2' }, 1)), /does not know the job's token/);
  t.regex(refused(new Caller(CALLER, 1), 11_000), /a challenge that is old or not ours/);

  const callee = new Callee(IDENTITY);
  const caller = new Caller(CALLER, 1);
  const challenge = callee.judge(caller.greeting(), 1e12);
  const answer = caller.answer(challenge.kind === 'challenge' ? challenge.header : '');
  t.is(callee.judge(answer, 1e12).kind, 'welcome');
  t.is(callee.judge(answer, 1e12).kind, 'refusal', 'an answer that was overheard is no use');
  t.is(callee.judge(answer?.replace('device=0', 'device=2'), 1e12).kind, 'refusal');
  t.is(new Callee(IDENTITY).judge(answer, 1e12).kind, 'refusal', 'nor at another device');
  t.regex(refused(new Caller(CALLER, 2)), /does not know the job's token/, 'nor is one that is for another device');
  for (const header of [
    undefined,
    '',
    'Soapstone',
    'Basic eDp5',
    'Soapstone device=x,nonce=y',
    'Soapstone device=1e999',
  ]) {
    t.is(callee.judge(header, 1e12).kind, 'refusal', header);
  }
});

test('a callee that does not know the token is not believed', (t) => {
  const caller = new Caller(CALLER, 1);
  const verdict = meet(caller, new Callee(IDENTITY));
  t.true(verdict.kind === 'welcome');
  t.false(caller.isProof(undefined));
  t.false(caller.isProof('0'.repeat(64)));
  t.false(new Caller(CALLER, 1).isProof(verdict.kind === 'welcome' ? verdict.proof : ''));
});

test('a device with another token is refused, and both say why', async (t) => {
  const [a, b] = await webSocketOptions(2, { connectTimeoutMs: 700 });
  const [first, second] = await Promise.allSettled([
    connectWebSocketTransport(a!),
    connectWebSocketTransport({ ...b!, token: 'guess' }),
  ]);
  t.regex(
    String(first.status === 'rejected' && first.reason),
    /device 1 did not answer.*it refused this device: another token/,
  );
  t.regex(
    String(second.status === 'rejected' && second.reason),
    /device 0 did not join.*does not know the job's token/,
  );
});

test('a stranger who does not close its end, and sends on, is cut off', async (t) => {
  const server = await listenForPeers({
    identity: IDENTITY,
    listen: { host: HOST, port: 0 },
    tls: undefined,
    refusal: () => undefined,
    onPeer: () => t.fail(),
    onRefused: () => undefined,
  });
  t.teardown(() => server.stopListening());
  const socket = connect({ port: server.port, host: HOST, allowHalfOpen: true });
  socket.write('GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n');
  const [answer]: Buffer[] = await once(socket, 'data');
  t.regex(String(answer), /^HTTP\/1.1 403/);
  const sending = setInterval(() => socket.write('more'), 10);
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('close', resolve));
  clearInterval(sending);
});

test('strangers who send garbage, frames or endless headers are turned away and harm no one', async (t) => {
  const [a, b] = await webSocketOptions(2);
  const connecting = connectWebSocketTransport(b!);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const ended = (send: string): Promise<string> =>
    new Promise((resolve) => {
      let answer = '';
      const socket = connect(b!.listen.port, HOST, () => socket.write(send));
      socket.on('data', (data) => (answer += data.toString('latin1')));
      socket.on('error', () => undefined).on('close', () => resolve(answer));
    });
  t.is(await ended('SOAP'.repeat(500)), '');
  t.is(await ended(`GET / HTTP/1.1\r\nx: ${'y'.repeat(100_000)}`), '');
  t.regex(await ended('GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n'), /426/);
  const upgrade = 'GET / HTTP/1.1\r\nupgrade: websocket\r\nconnection: upgrade\r\n';
  t.regex(await ended(`${upgrade}\r\n`), /^HTTP\/1.1 403/);
  t.regex(await ended(`${upgrade}authorization: Soapstone device=0,nonce=${'0'.repeat(32)}\r\n\r\n`), /^HTTP\/1.1 401/);
  const stranger = new WebSocket(`ws://${HOST}:${b!.listen.port}`);
  await new Promise((resolve) => stranger.once('error', resolve));
  const [first, second] = await Promise.all([connectWebSocketTransport(a!), connecting]);
  await first.send(1, { step: 0, task: 0, round: 0 }, Uint8Array.of(1));
  t.is((await second.receive(0, { step: 0, task: 0, round: 0 }, 1)).length, 1);
  await Promise.all([first.close(), second.close()]);
});
