import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';
import type { KubeConfig } from '@kubernetes/client-node';

/** An answer of the API server, whatever its code. */
export interface Answer {
  readonly code: number;
  readonly body: unknown;
}

/**
 * Requests over connections that are kept. The client library opens one for each request, which on a machine that runs the API
 * server too would be most of what a benchmark measures.
 */
export class BenchApi {
  readonly #server: string;
  readonly #token: string;
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });

  constructor(config: KubeConfig) {
    this.#server = config.getCurrentCluster()?.server ?? '';
    this.#token = config.getCurrentUser()?.token ?? '';
  }

  /** @param contentType of a patch */
  async send(method: string, path: string, body?: unknown, contentType: string = 'application/json'): Promise<Answer> {
    const text = body === undefined ? '' : JSON.stringify(body);
    const headers = {
      authorization: `Bearer ${this.#token}`,
      'content-type': contentType,
      // Of a DELETE node:http would not say how long its body is, and the server would take that for another request.
      'content-length': Buffer.byteLength(text),
    };
    const request = httpsRequest(`${this.#server}${path}`, { method, agent: this.#agent, headers });
    request.end(text);
    const [response]: IncomingMessage[] = await once(request, 'response');
    if (response === undefined) throw new Error(`${method} ${path}: no answer`);
    const parts: Buffer[] = [];
    for await (const part of response) parts.push(part);
    const answered = Buffer.concat(parts).toString();
    const isJson = response.headers['content-type']?.startsWith('application/json') === true;
    const answer: unknown = isJson ? JSON.parse(answered) : answered;
    return { code: response.statusCode ?? 0, body: answer };
  }

  /** @throws {Error} where the server refuses */
  async must(method: string, path: string, body?: unknown, contentType?: string): Promise<unknown> {
    const answer = await this.send(method, path, body, contentType);
    if (answer.code < 300) return answer.body;
    throw new Error(`${method} ${path}: ${answer.code} ${JSON.stringify(answer.body).slice(0, 300)}`);
  }

  close(): void {
    this.#agent.destroy();
  }
}
