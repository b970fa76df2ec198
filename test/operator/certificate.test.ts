import { X509Certificate } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import type { ConnectionOptions } from 'node:tls';
import { connect, createServer } from 'node:tls';
import test from 'ava';
import * as fc from 'fast-check';
import type { IssuedCertificate } from '../../operator/secrets/certificate.ts';
import { certificateTerms, issueCertificate } from '../../operator/secrets/certificate.ts';
import { newCertificate } from '../../operator/secrets/secrets.ts';
import { connectWebSocketTransport } from '../../runtime/transport/websocket.ts';
import { webSocketOptions } from '../support/transports.ts';

const NOW = new Date();
const DAY_MS = 24 * 3_600_000;
const ZONE = '*.job.team.svc';
const random = (bytes: number): Uint8Array => crypto.getRandomValues(new Uint8Array(bytes));

test('the terms follow from time and random bytes alone; the number is positive, the time bounded', (t) => {
  const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 });
  const date = fc.date({ min: new Date('2020-01-01'), max: new Date('2049-01-01'), noInvalidDate: true });
  fc.assert(
    fc.property(date, bytes, (now, drawn) => {
      const terms = certificateTerms(now, () => drawn);
      t.deepEqual(
        terms,
        certificateTerms(now, () => drawn),
      );
      t.regex(terms.serialNumber, /^[4-7][0-9a-f]{31}$/);
      t.true(terms.notBefore < now && now < terms.notAfter);
      t.true(terms.notAfter.getTime() - terms.notBefore.getTime() <= 31 * DAY_MS);
    }),
  );
});

test('a certificate is for its names, as server and as client, of an authority that signs no other', async (t) => {
  const issued = await issueCertificate([ZONE, '10.1.2.3'], NOW, random);
  const [leaf, authority] = [new X509Certificate(issued.certificate), new X509Certificate(issued.authority)];
  t.is(leaf.subjectAltName, `DNS:${ZONE}, IP Address:10.1.2.3`);
  t.false(leaf.ca);
  t.true(authority.ca);
  t.true(leaf.verify(authority.publicKey));
  t.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
  t.not(leaf.serialNumber, authority.serialNumber);
});

/** Why a client that wants `servername` and shows `mine` does not get through to a server with `theirs`; `` where it does. */
function handshake(
  theirs: IssuedCertificate,
  servername: string,
  { certificate, key, authority }: Partial<IssuedCertificate>,
): Promise<string> {
  const { certificate: cert, key: serverKey, authority: ca } = theirs;
  const server = createServer({ cert, key: serverKey, ca, requestCert: true, rejectUnauthorized: true }, (socket) =>
    socket.end('welcome'),
  );
  return new Promise((resolve) => {
    server.on('tlsClientError', () => undefined);
    server.listen(0, '127.0.0.1', () => {
      const { port }: Partial<AddressInfo> = Object(server.address());
      const options: ConnectionOptions = { host: '127.0.0.1', port: port ?? 0, servername };
      const mine = {
        ...(certificate && { cert: certificate }),
        ...(key && { key }),
        ...(authority && { ca: authority }),
      };
      const client = connect({ ...options, ...mine });
      const done = (outcome: string): void => {
        client.destroy();
        server.close(() => resolve(outcome));
      };
      client.once('data', () => done(''));
      client.once('error', ({ message }) => done(message));
      client.once('close', () => done('closed'));
    });
  });
}

test('by TLS the right names of the right authority get through, and nothing else', async (t) => {
  const ours = await issueCertificate([ZONE], NOW, random);
  const foreign = await issueCertificate([ZONE], NOW, random);
  const old = await issueCertificate([ZONE], new Date(NOW.getTime() - 40 * DAY_MS), random);
  const early = await issueCertificate([ZONE], new Date(NOW.getTime() + DAY_MS), random);
  const { authority } = ours;
  t.is(await handshake(ours, 'job-0-17.job.team.svc', ours), '');
  for (const name of ['job-0-0.job.other.svc', 'job-0-0.x.job.team.svc', 'job.team.svc', 'evil.example'])
    t.regex(await handshake(ours, name, ours), /does not match certificate/, name);
  const name = 'job-0-0.job.team.svc';
  t.regex(await handshake(ours, name, foreign), /self-signed|unable to (verify|get)/, 'of another authority');
  t.regex(await handshake(ours, name, { ...foreign, authority }), /alert|closed/, 'a client of another authority');
  t.regex(await handshake(ours, name, { authority }), /alert|closed/, 'a client that shows none');
  t.regex(await handshake(old, name, old), /expired/);
  t.regex(await handshake(early, name, early), /not yet valid/);
});

test('devices connect with it; the secret has what the runtime reads', async (t) => {
  const tls = await issueCertificate(['127.0.0.1'], NOW, random);
  const [a, b] = await webSocketOptions(2);
  const transports = await Promise.all([a!, b!].map((options) => connectWebSocketTransport({ ...options, tls })));
  await Promise.all(transports.map((transport) => transport.close()));
  const { type, stringData = {} } = await newCertificate([ZONE]);
  t.is(type, 'kubernetes.io/tls');
  t.deepEqual(Object.keys(stringData), ['tls.crt', 'tls.key', 'ca.crt']);
  t.true(new X509Certificate(stringData['tls.crt']!).verify(new X509Certificate(stringData['ca.crt']!).publicKey));
});
