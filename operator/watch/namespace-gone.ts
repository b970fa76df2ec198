import type { KubeConfig } from '@kubernetes/client-node';
import { ApiStatusError } from './api-error.ts';
import { openResponse } from './open-response.ts';

/** An answer that takes longer is none: it is asked for again with the next list that is refused. */
const TIMEOUT_MS = 10_000;

/**
 * Whether a namespace is not there any more, and all that was in it with it. A namespace that is there, and one of which the API server
 * does not say it, is none of these: what was known of it may be there still.
 */
export async function isNamespaceGone(config: KubeConfig, name: string, signal: AbortSignal): Promise<boolean> {
  try {
    const response = await openResponse(config, {
      what: `reading namespace ${name}`,
      path: `/api/v1/namespaces/${encodeURIComponent(name)}`,
      query: {},
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    response.destroy();
    return false;
  } catch (error) {
    return error instanceof ApiStatusError && error.status === 404;
  }
}
