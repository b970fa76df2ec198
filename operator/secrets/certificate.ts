import './reflection.ts';
import { webcrypto } from 'node:crypto';
import { isIP } from 'node:net';
import {
  BasicConstraintsExtension,
  ExtendedKeyUsage,
  ExtendedKeyUsageExtension,
  KeyUsageFlags,
  KeyUsagesExtension,
  PemConverter,
  SubjectAlternativeNameExtension,
  X509CertificateGenerator,
} from '@peculiar/x509';

/** PEM texts of a certificate, its private key, and the authority that signed it; of the authority's key there is no copy. */
export interface IssuedCertificate {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

/** From when to when a certificate is good, and its number. */
export interface CertificateTerms {
  readonly notBefore: Date;
  readonly notAfter: Date;
  /** Hexadecimal, 128 bits. */
  readonly serialNumber: string;
}

/** Draws so many bytes. */
export type RandomBytes = (bytes: number) => Uint8Array;

/** Clocks of nodes may be behind the controller's by as much. Source: Kerberos' usual tolerance, RFC 4120, 8.2. */
const CLOCK_SKEW_MS = 5 * 60_000;

/**
 * Devices connect when their attempt starts, and stay connected; a queue may hold them for days before. So long a certificate is
 * good: its authority can sign nothing else, and both end with the attempt.
 */
const VALIDITY_MS = 30 * 24 * 3_600_000;

/** Source: NIST SP 800-186; what every TLS library has. */
const ALGORITHM = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };

/** When a certificate made now is good; the same answer for the same time and bytes. */
export function certificateTerms(now: Date, random: RandomBytes): CertificateTerms {
  // X.509 keeps whole seconds.
  const second = Math.floor(now.getTime() / 1000) * 1000;
  const bytes = Buffer.from(random(16));
  // A number is positive, and not zero (RFC 5280, 4.1.2.2).
  bytes[0] = (bytes[0]! & 0x7f) | 0x40;
  return {
    notBefore: new Date(second - CLOCK_SKEW_MS),
    notAfter: new Date(second + VALIDITY_MS),
    serialNumber: bytes.toString('hex'),
  };
}

/**
 * Makes an authority and one certificate for devices, which show it as server and as client; throws the authority's key away.
 * @param names DNS names (`*.` first stands for one label) or IP addresses of the devices
 */
export async function issueCertificate(
  names: readonly string[],
  now: Date,
  random: RandomBytes,
): Promise<IssuedCertificate> {
  const [authorityKeys, keys] = await Promise.all([makeKeys(), makeKeys()]);
  const [authorityTerms, terms] = [certificateTerms(now, random), certificateTerms(now, random)];
  // Named by its number, so that a certificate of another attempt is seen to be of a stranger.
  const issuer = `CN=attempt ${authorityTerms.serialNumber}`;
  const authority = await X509CertificateGenerator.createSelfSigned(
    {
      ...authorityTerms,
      name: issuer,
      keys: authorityKeys,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(true, 0, true),
        new KeyUsagesExtension(KeyUsageFlags.keyCertSign, true),
      ],
    },
    webcrypto,
  );
  const certificate = await X509CertificateGenerator.create(
    {
      ...terms,
      subject: 'CN=devices of a job',
      issuer,
      publicKey: keys.publicKey,
      signingKey: authorityKeys.privateKey,
      signingAlgorithm: ALGORITHM,
      extensions: [
        new BasicConstraintsExtension(false, undefined, true),
        new KeyUsagesExtension(KeyUsageFlags.digitalSignature, true),
        new ExtendedKeyUsageExtension([ExtendedKeyUsage.serverAuth, ExtendedKeyUsage.clientAuth]),
        new SubjectAlternativeNameExtension(names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value }))),
      ],
    },
    webcrypto,
  );
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return {
    certificate: certificate.toString('pem'),
    key: PemConverter.encode(key, PemConverter.PrivateKeyTag),
    authority: authority.toString('pem'),
  };
}

function makeKeys(): Promise<webcrypto.CryptoKeyPair> {
  return webcrypto.subtle.generateKey(ALGORITHM, true, ['sign', 'verify']);
}
