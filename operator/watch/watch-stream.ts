import type { IncomingMessage } from 'node:http';
import { createInterface } from 'node:readline';
import type { KubeConfig } from '@kubernetes/client-node';
import { openResponse } from './open-response.ts';

/** How a watch is kept. */
export interface WatchStreamOptions<T> {
  readonly signal: AbortSignal;
  /** A connection that brings nothing for so long, not even its headers, may be dead without a sign, and is given up. */
  readonly silenceMs: number;
  /** What it throws ends the watch. */
  readonly onEvent: (type: string, object: T) => void;
}

/**
 * Reads a watch until it ends. The client library's own skips lines that are no JSON, and with them events.
 * @returns when the server ended it in good order, or nothing came for a while; both can be continued
 * @throws {ApiStatusError} for an answer other than 200
 * @throws {Error} where the connection breaks, a line is no JSON, or the signal fires
 */
export async function watchStream<T>(
  config: KubeConfig,
  path: string,
  query: Readonly<Record<string, string | number | boolean>>,
  { signal, silenceMs, onEvent }: WatchStreamOptions<T>,
): Promise<void> {
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silenceMs);
  try {
    const response = await openResponse(config, {
      what: `watching ${path}`,
      path,
      query: { ...query, watch: true },
      signal: AbortSignal.any([signal, silence.signal]),
    });
    response.on('data', () => timer.refresh());
    await readLines(response, path, (line) => {
      const { type, object } = parseEvent<T>(line, path);
      onEvent(type, object);
    });
  } catch (error) {
    if (!silence.signal.aborted || signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}

async function readLines(response: IncomingMessage, path: string, onLine: (line: string) => void): Promise<void> {
  const broken = new Promise<never>((_, reject) => {
    response.once('error', reject);
  });
  const read = async (): Promise<void> => {
    for await (const line of createInterface({ input: response })) if (line.trim() !== '') onLine(line);
    if (!response.complete) throw new Error(`watching ${path}: the connection broke`);
  };
  try {
    await Promise.race([read(), broken]);
  } finally {
    response.destroy();
  }
}

/** The object is taken for one of the kind that was asked for; whoever reads a field expects that it may lack. */
function parseEvent<T>(line: string, path: string): WatchEvent<T> {
  let event: Partial<WatchEvent<T>> | null;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw new Error(`watching ${path}: a line is no JSON: ${line.slice(0, 100)}`, { cause: error });
  }
  const { type, object } = event ?? {};
  if (typeof type === 'string' && typeof object === 'object' && object !== null) return { type, object };
  throw new Error(`watching ${path}: a line is no event: ${line.slice(0, 100)}`);
}

interface WatchEvent<T> {
  readonly type: string;
  readonly object: T;
}
