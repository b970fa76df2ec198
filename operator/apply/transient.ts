import { setTimeout as sleep } from 'node:timers/promises';
import { ApiException } from '@kubernetes/client-node';

/** After the first failure; doubled after each further one. */
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 5000;

/** Whether the same request may succeed later: the server was not reached, is overloaded or failed. */
export function isTransient(error: unknown): boolean {
  return !(error instanceof ApiException) || error.code === 429 || error.code >= 500;
}

/**
 * Asks again until there is an answer, of whatever kind: that the API server is away says nothing about a job.
 * @throws what `ask` throws once it is the answer of a server, or the signal has fired
 */
export async function untilAnswered<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs)) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !isTransient(error)) throw error;
      await sleep(pauseMs * (1 + Math.random() / 2), undefined, { signal });
    }
  }
}
