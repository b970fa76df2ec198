import test from 'ava';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { makeCertificate } from '../support/certificates.ts';
import { webSocketOptions, webSocketTransports } from '../support/transports.ts';
import { TRANSPORT_CONTRACT } from './contract.ts';

const tls = makeCertificate();

for (const { sentence, windowBytes, run } of TRANSPORT_CONTRACT) {
  test(`a transport over TLS ${sentence}`, async (t) => {
    const transports = await webSocketTransports(3, windowBytes === undefined ? { tls } : { tls, windowBytes });
    await run(t, transports);
    await Promise.all(transports.map((transport) => transport.close()));
  });
}

const other = makeCertificate();
const expired = makeCertificate(-1.5, -1);

/** What the devices have in place of the certificate, and what each says. */
const WRONG = [
  ['no TLS at the caller', undefined, tls, /device 1 did not answer/, /device 0 did not join/],
  [
    'no TLS at the callee',
    tls,
    undefined,
    /device 1 did not answer.*(wrong version|packet length|SSL|TLS|EPROTO)/i,
    /device 0 did not join/,
  ],
  [
    'a certificate of another authority',
    tls,
    other,
    /device 1 did not answer.*(self-signed|unable to (verify|get))/,
    /device 0 did not join.*refused: a connection failed to prove itself by TLS/,
  ],
  [
    'a certificate whose time is over',
    tls,
    expired,
    /device 1 did not answer.*certificate has expired/,
    /device 0 did not join/,
  ],
  [
    'a certificate that is not shown',
    { ...tls, certificate: '', key: '' },
    tls,
    /device 1 did not answer/,
    /device 0 did not join/,
  ],
] as const;

for (const [what, caller, callee, callerSays, calleeSays] of WRONG) {
  test(`${what} is refused with a sentence`, async (t) => {
    const [a, b] = await webSocketOptions(2, { connectTimeoutMs: 2500 });
    const [first, second] = await Promise.allSettled([
      connectWebSocketTransport({ ...a!, ...(caller && { tls: caller }) }),
      connectWebSocketTransport({ ...b!, ...(callee && { tls: callee }) }),
    ]);
    t.regex(String(first.status === 'rejected' && first.reason), callerSays);
    t.regex(String(second.status === 'rejected' && second.reason), calleeSays);
  });
}

test('files that are no certificate are named as such', async (t) => {
  const [a] = await webSocketOptions(1);
  await t.throwsAsync(connectWebSocketTransport({ ...a!, tls: { ...tls, key: 'no key' } }), {
    message: /the TLS certificate, key and authority do not go together: .*; expected PEM files/,
  });
});
