import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { KubeConfig } from '@kubernetes/client-node';
import { listenAsApiServer } from './fake-server.ts';

/** A server that keeps one object, and refuses a write of another version than it has, as the API server does. */
export class FakeLease {
  readonly #server: Server;
  #version = 0;
  #lease: Record<string, unknown> | undefined;
  /** Answers nothing while it is set. */
  hangs = false;
  /** That were opened so far. */
  connections = 0;
  /** That were answered so far. */
  requests = 0;

  constructor() {
    this.#server = createServer((request, response) => {
      if (this.hangs) return;
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => {
        this.requests += 1;
        const [code, body] = this.#answer(request.method ?? '', Buffer.concat(chunks).toString());
        response.writeHead(code, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    this.#server.on('connection', () => (this.connections += 1));
  }

  get holder(): unknown {
    return Object(this.#lease?.['spec']).holderIdentity;
  }

  /** As another holder that stops leaves it. */
  giveBack(): void {
    this.#version += 1;
    const metadata = { ...Object(this.#lease?.['metadata']), resourceVersion: String(this.#version) };
    this.#lease = { ...this.#lease, metadata, spec: { ...Object(this.#lease?.['spec']), holderIdentity: '' } };
  }

  start(): Promise<KubeConfig> {
    return listenAsApiServer(this.#server);
  }

  stop(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #answer(method: string, text: string): [code: number, body: unknown] {
    if (method === 'GET') return this.#lease === undefined ? [404, {}] : [200, this.#lease];
    const body: { metadata: { resourceVersion?: string } } & Record<string, unknown> = JSON.parse(text);
    const expected = this.#lease === undefined ? undefined : String(this.#version);
    if (body.metadata.resourceVersion !== expected) return [409, {}];
    this.#version += 1;
    this.#lease = { ...body, metadata: { ...body.metadata, resourceVersion: String(this.#version) } };
    return [200, this.#lease];
  }
}
