import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TlsFiles } from '../transport/server.ts';

/**
 * Reads a folder with the files of a Kubernetes secret of type kubernetes.io/tls as cert-manager writes it: `tls.crt`, `tls.key`,
 * `ca.crt`. @throws {Error} a sentence about the file that is missing
 */
export async function readTlsFolder(folder: string): Promise<TlsFiles> {
  const read = (name: string, what: string): Promise<string> =>
    readFile(join(folder, name), 'utf8').catch((error: unknown) => {
      const missing = error instanceof Error && 'code' in error && error.code === 'ENOENT';
      const reason = missing ? 'there is no such file' : String(error);
      throw new Error(`cannot read ${name} in ${folder}: ${reason}; expected the ${what} in PEM`, { cause: error });
    });
  return {
    certificate: await read('tls.crt', "devices' certificate"),
    key: await read('tls.key', "certificate's private key"),
    authority: await read('ca.crt', 'certificate of the authority that signed it'),
  };
}
