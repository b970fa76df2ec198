import { ApiException } from '@kubernetes/client-node';

/** Whether the same request may succeed later: the server was not reached, is overloaded or failed. */
export function isTransient(error: unknown): boolean {
  return !(error instanceof ApiException) || error.code === 429 || error.code >= 500;
}
