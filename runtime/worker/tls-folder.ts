import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { messageOf } from '../../soap/message-of.ts';
import { fileReason } from '../storage/file-reason.ts';
import type { TlsFiles } from '../transport/server.ts';

/**
 * Reads a folder with the files of a Kubernetes secret of type kubernetes.io/tls as cert-manager writes it: `tls.crt`, `tls.key`,
 * `ca.crt`. @throws {Error} a sentence about the file that is missing, or about a key that is not the certificate's
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
