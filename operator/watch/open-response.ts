import type { IncomingMessage } from 'node:http';
import { request as httpRequest } from 'node:http';
import type { RequestOptions } from 'node:https';
import { request as httpsRequest } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';
import { ApiStatusError } from './api-error.ts';

/** What is asked of an API server. */
export interface StreamRequest {
  /** For messages, such as `watching /api/v1/nodes`. */
  readonly what: string;
  readonly path: string;
  readonly query: Readonly<Record<string, string | number | boolean>>;
  readonly signal: AbortSignal;
}

/** A connection that nothing came over for so long is asked whether the other end is there still. */
const KEEP_ALIVE_MS = 30_000;

/**
 * Opens an answer of the API server that may go on for hours, with silence between: only the signal ends it. The client library's own
 * requests are given up after five minutes of silence.
 * @throws {ApiStatusError} for an answer other than 200
 */
export async function openResponse(
  config: KubeConfig,
  { what, path, query, signal }: StreamRequest,
): Promise<IncomingMessage> {
  const url = new URL(`${config.getCurrentCluster()?.server ?? ''}${path}`);
  for (const [key, value] of Object.entries(query)) url.searchParams.set(key, String(value));
  const options: RequestOptions = { headers: {}, signal };
  await config.applyToHTTPSOptions(options);
  const response = await open(url, options);
  const { statusCode = 0, headers } = response;
  if (statusCode === 200) return response;
  response.destroy();
  throw new ApiStatusError(what, statusCode, headers['retry-after']);
}

function open(url: URL, options: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const plain = url.protocol === 'http:';
    // An agent for TLS does not take plain connections; such an answer has a connection of its own anyway.
    const request = plain ? httpRequest(url, { ...options, agent: false }) : httpsRequest(url, options);
    request.setSocketKeepAlive(true, KEEP_ALIVE_MS);
    request.once('response', resolve).once('error', reject).end();
  });
}
