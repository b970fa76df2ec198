import { isIPv6 } from 'node:net';
import type { Reading } from './reading.ts';
import { readMetrics } from './reading.ts';

/** A pod that does not answer within this time is asked again at the next look. */
const TIMEOUT_MS = 3000;

/** Metrics of a pod with a hundred peers are a tenth of it; whatever a pod may send beyond is not read. */
const MAX_BYTES = 1024 * 1024;

/** Reads a pod's metrics over HTTP; undefined where it does not answer as a runtime pod does. */
export async function fetchReading(address: string, port: number, signal: AbortSignal): Promise<Reading | undefined> {
  const host = isIPv6(address) ? `[${address}]` : address;
  try {
    const response = await fetch(`http://${host}:${port}/metrics`, {
      // A pod is not to lead the controller to somebody else.
      redirect: 'error',
      signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
    });
    const text = response.ok ? await boundedText(response) : undefined;
    if (!response.ok) await response.body?.cancel();
    return text === undefined ? undefined : readMetrics(text);
  } catch {
    return undefined;
  }
}

async function boundedText({ body }: Response): Promise<string | undefined> {
  if (body === null) return undefined;
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of body) {
    bytes += chunk.length;
    // Leaving the loop cancels the body.
    if (bytes > MAX_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString();
}
