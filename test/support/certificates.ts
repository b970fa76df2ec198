import type { KeyObject } from 'node:crypto';
import { generateKeyPairSync, randomBytes, sign } from 'node:crypto';
import type { TlsFiles } from '../../runtime/transport/server.ts';

const HOUR_MS = 3_600_000;
const LOOPBACK = Buffer.from([127, 0, 0, 1]);

/** Tags of ASN.1's distinguished encoding (X.690). */
const TAG = { boolean: 1, integer: 2, bits: 3, octets: 4, oid: 6, utf8: 12, utcTime: 23, sequence: 48, set: 49 };
const ECDSA_WITH_SHA256 = encode(TAG.sequence, encode(TAG.oid, Buffer.from('2a8648ce3d040302', 'hex')));
const [COMMON_NAME, BASIC_CONSTRAINTS, ALTERNATIVE_NAME] = ['550403', '551d13', '551d11'].map((hex) =>
  encode(TAG.oid, Buffer.from(hex, 'hex')),
);

/** A certificate for 127.0.0.1 of an authority of its own (RFC 5280), valid from and to so many hours from now. */
export function makeCertificate(fromHours = -1, toHours = 1): TlsFiles {
  const [authority, device] = [makeKeys(), makeKeys()];
  const names = { authority: `authority ${randomBytes(4).toString('hex')}`, device: 'devices of a job' };
  const isAuthority = encode(TAG.sequence, encode(TAG.boolean, Buffer.from([255])));
  const loopback = encode(TAG.sequence, encode(0x87, LOOPBACK));
  const root = { issuer: names.authority, subject: names.authority, signer: authority.privateKey };
  const leaf = { issuer: names.authority, subject: names.device, signer: authority.privateKey };
  return {
    authority: certificate({ ...root, key: authority.publicKey, extension: [BASIC_CONSTRAINTS!, isAuthority] }, -2, 2),
    certificate: certificate(
      { ...leaf, key: device.publicKey, extension: [ALTERNATIVE_NAME!, loopback] },
      fromHours,
      toHours,
    ),
    key: device.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  };
}

function makeKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync('ec', { namedCurve: 'P-256' });
}

interface CertificateParts {
  readonly issuer: string;
  readonly subject: string;
  readonly key: KeyObject;
  readonly signer: KeyObject;
  /** Object identifier and value. */
  readonly extension: readonly [Buffer, Buffer];
}

function certificate({ issuer, subject, key, signer, extension }: CertificateParts, from: number, to: number): string {
  const [id, value] = extension;
  const body = encode(
    TAG.sequence,
    encode(0xa0, encode(TAG.integer, Buffer.from([2]))),
    encode(TAG.integer, Buffer.concat([Buffer.from([1]), randomBytes(8)])),
    ECDSA_WITH_SHA256,
    name(issuer),
    encode(TAG.sequence, time(from), time(to)),
    name(subject),
    key.export({ type: 'spki', format: 'der' }),
    encode(0xa3, encode(TAG.sequence, encode(TAG.sequence, id, encode(TAG.octets, value)))),
  );
  const signature = sign('sha256', body, signer);
  const der = encode(TAG.sequence, body, ECDSA_WITH_SHA256, encode(TAG.bits, Buffer.from([0]), signature));
  const lines = der.toString('base64').match(/.{1,64}/g)!;
  return ['-----BEGIN CERTIFICATE-----', ...lines, '-----END CERTIFICATE-----', ''].join('\n');
}

function name(commonName: string): Buffer {
  const attribute = encode(TAG.sequence, COMMON_NAME!, encode(TAG.utf8, Buffer.from(commonName)));
  return encode(TAG.sequence, encode(TAG.set, attribute));
}

function time(hoursFromNow: number): Buffer {
  const iso = new Date(Date.now() + hoursFromNow * HOUR_MS).toISOString();
  return encode(TAG.utcTime, Buffer.from(`${iso.slice(2, 19).replaceAll(/[-T:]/g, '')}Z`));
}

function encode(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const value = Buffer.concat(parts);
  const { length } = value;
  const head =
    length < 128 ? [tag, length] : length < 256 ? [tag, 0x81, length] : [tag, 0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from(head), value]);
}
