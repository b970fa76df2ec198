import { randomBytes } from 'node:crypto';
import type { V1Secret } from '@kubernetes/client-node';

/** Type and content of a secret. */
export type SecretContent = Pick<V1Secret, 'type' | 'stringData'>;

/** A token that nobody can guess: 256 bits. */
export function newToken(): SecretContent {
  return { type: 'Opaque', stringData: { token: randomBytes(32).toString('hex') } };
}

/**
 * A certificate for devices of these names, with its key and authority. The library behind it is loaded for the first one: it takes
 * memory that most controllers never need.
 */
export async function newCertificate(names: readonly string[]): Promise<SecretContent> {
  const { issueCertificate } = await import('./certificate.ts');
  const { certificate, key, authority } = await issueCertificate(names, new Date(), randomBytes);
  // The names that cert-manager gives them, which runtime/worker/tls-folder.ts reads.
  return { type: 'kubernetes.io/tls', stringData: { 'tls.crt': certificate, 'tls.key': key, 'ca.crt': authority } };
}
