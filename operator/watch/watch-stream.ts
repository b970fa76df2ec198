import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request as httpsRequest } from 'node:https';
import { createInterface } from 'node:readline';
import type { KubeConfig } from '@kubernetes/client-node';
import { ApiStatusError } from './api-error.ts';

/** How a watch is kept. */
export interface WatchStreamOptions {
  readonly signal: AbortSignal;
  /** A connection that brings nothing for so long, not even its headers, may be dead without a sign, and is given up. */
  readonly silenceMs: number;
  onEvent(type: string, object: unknown): void;
}

/**
 * Reads a watch until it ends. The client library's own skips lines that are no JSON, and with them events.
 * @returns when the server ended it in good order, or nothing came for a while; both can be continued
 * @throws {ApiStatusError} for an answer other than 200
 * @throws {Error} where the connection breaks, a line is no JSON, or the signal fires
 */
export async function watchStream(
  config: KubeConfig,
  path: string,
  query: Readonly<Record<string, string | number | boolean>>,
  { signal, silenceMs, onEvent }: WatchStreamOptions,
): Promise<void> {
  const url = new URL(`${config.getCurrentCluster()?.server ?? ''}${path}`);
  url.searchParams.set('watch', 'true');
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
  const silence = new AbortController();
  const timer = setTimeout(() => silence.abort(), silenceMs);
  const options: RequestOptions = { headers: {}, signal: AbortSignal.any([signal, silence.signal]) };
  await config.applyToHTTPSOptions(options);
  try {
    const response = await open(url, options);
    const { statusCode = 0, headers } = response;
    if (statusCode !== 200) {
      response.destroy();
      throw new ApiStatusError(`watching ${path}`, statusCode, headers['retry-after']);
    }
    response.on('data', () => timer.refresh());
    await readLines(response, path, onEvent);
  } catch (error) {
    if (!silence.signal.aborted || signal.aborted) throw error;
  } finally {
    clearTimeout(timer);
  }
}

function open(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const plain = url.protocol === 'http:';
    // An agent for TLS does not take plain connections; a watch has a connection of its own anyway.
    const request = plain ? httpRequest(url, { ...options, agent: false }) : httpsRequest(url, options);
    request.once('response', resolve).once('error', reject).end();
  });
}

async function readLines(
  response: IncomingMessage,
  path: string,
  onEvent: (type: string, object: unknown) => void,
): Promise<void> {
  const broken = new Promise<never>((_, reject) => {
    response.once('error', reject);
  });
  const read = async (): Promise<void> => {
    for await (const line of createInterface({ input: response })) {
      if (line.trim() === '') continue;
      const { type, object } = parseEvent(line, path);
      onEvent(type, object);
    }
    if (!response.complete) throw new Error(`watching ${path}: the connection broke`);
  };
  try {
    await Promise.race([read(), broken]);
  } finally {
    response.destroy();
  }
}

function parseEvent(line: string, path: string): { type: string; object: unknown } {
  let event: unknown;
  try {
    event = JSON.parse(line);
  } catch (error) {
    throw new Error(`watching ${path}: a line is no JSON: ${line.slice(0, 100)}`, { cause: error });
  }
  if (typeof event === 'object' && event !== null && 'type' in event && 'object' in event)
    return { type: String(event.type), object: event.object };
  throw new Error(`watching ${path}: a line is no event: ${line.slice(0, 100)}`);
}
