import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../soap/message-of.ts';
import { fileReason } from '../storage/file-reason.ts';
import type { TlsFiles } from '../transport/server.ts';

/**
 * Reads a folder with the files of a Kubernetes secret of type kubernetes.io/tls as cert-manager writes it: `tls.crt`, `tls.key`,
 * `ca.crt`. @throws {Error} a sentence about the file that is missing, a key that is not the certificate's, or an authority
 * that did not sign it
 */
export async function readTlsFolder(folder: string): Promise<TlsFiles> {
  const read = (name: string, what: string): Promise<string> =>
    readFile(join(folder, name), 'utf8').catch((error: unknown) => {
      throw new Error(`cannot read ${name} in ${folder}: ${fileReason(error)}; expected the ${what} in PEM`, {
        cause: error,
      });
    });
  const files = {
    certificate: await read('tls.crt', "devices' certificate"),
    key: await read('tls.key', "certificate's private key"),
    authority: await read('ca.crt', 'certificate of the authority that signed it'),
  };
  requirePair(files, folder);
  requireAuthority(files, folder);
  return files;
}

/** Devices would only see it when they listen, and one that is refused does not hear why. */
function requirePair({ certificate, key }: TlsFiles, folder: string): void {
  let isPair: boolean;
  try {
    isPair = new X509Certificate(certificate).checkPrivateKey(createPrivateKey(key));
  } catch (error) {
    throw new Error(
      `tls.crt or tls.key in ${folder} cannot be read: ${messageOf(error)}; expected a certificate and its private key in PEM`,
      { cause: error },
    );
  }
  if (!isPair)
    throw new Error(`tls.key in ${folder} is not the key of tls.crt; expected a pair: copy both from the same secret`);
}

/** Begin and end of a certificate in PEM. Source: RFC 7468, section 5.1. */
const PEM_CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Devices would only see it when they connect, and try again until their time is up. */
function requireAuthority({ certificate, authority }: TlsFiles, folder: string): void {
  const chain = certificatesOf('tls.crt', certificate, folder);
  const authorities = certificatesOf('ca.crt', authority, folder);
  const isTrusted = chain.some((each) =>
    authorities.some((ca) => ca.fingerprint256 === each.fingerprint256 || isSignedBy(each, ca)),
  );
  if (isTrusted) return;
  throw new Error(
    `ca.crt in ${folder} is of ${nameOf(authorities[0]?.subject)}, which did not sign tls.crt; expected the authority that did, ` +
      `${nameOf(chain.at(-1)?.issuer)}: copy all three files from the same secret`,
  );
}

function isSignedBy(certificate: X509Certificate, authority: X509Certificate): boolean {
  return certificate.checkIssued(authority) && certificate.verify(authority.publicKey);
}

/** The certificates of a file, the device's own first. @throws {Error} a sentence where one cannot be read, or there is none */
function certificatesOf(name: string, pem: string, folder: string): X509Certificate[] {
  try {
    const found = (pem.match(PEM_CERTIFICATE) ?? []).map((each) => new X509Certificate(each));
    if (found.length > 0) return found;
  } catch (error) {
    throw new Error(`${name} in ${folder} cannot be read: ${messageOf(error)}; expected certificates in PEM`, {
      cause: error,
    });
  }
  throw new Error(`${name} in ${folder} has no certificate; expected at least one in PEM`);
}

/** A distinguished name on one line. */
function nameOf(name: string | undefined): string {
  return JSON.stringify((name ?? '').replaceAll('\n', ', '));
}
