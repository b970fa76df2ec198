import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import { Agent, request as httpsRequest } from 'node:https';

/** What the proxy does to requests, and to the connections that are open when it begins. */
export type ProxyFault = 'none' | '429' | '500' | '410' | 'reset' | 'hang' | 'stopped';

/** A proxy before the API server that fails as it is told. */
export class FaultyProxy {
  readonly #target: string;
  readonly #agent = new Agent({ rejectUnauthorized: false, keepAlive: true });
  readonly #server: Server;
  #port = 0;
  #fault: ProxyFault = 'none';
  readonly #watches = new Set<ServerResponse>();

  constructor(target: string) {
    this.#target = target;
    this.#server = createServer((request, response) => this.#handle(request, response));
  }

  get url(): string {
    return `http://127.0.0.1:${this.#port}`;
  }

  /** Watches that the server has answered and that stand. */
  get openWatches(): number {
    return this.#watches.size;
  }

  async start(): Promise<void> {
    this.#server.listen(this.#port, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    if (typeof address === 'object' && address !== null) this.#port = address.port;
  }

  /** Begins a fault, or ends it. A fault breaks what is open. */
  async set(fault: ProxyFault): Promise<void> {
    const before = this.#fault;
    this.#fault = fault;
    if (fault !== 'none' && fault !== 'hang') this.#server.closeAllConnections();
    if (fault === 'stopped') await this.stop();
    if (before === 'stopped') await this.start();
    if (before === 'hang') this.#server.closeAllConnections();
  }

  async stop(): Promise<void> {
    if (!this.#server.listening) return;
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #handle(request: IncomingMessage, response: ServerResponse): void {
    switch (this.#fault) {
      case 'none':
        this.#pass(request, response);
        break;
      case 'hang':
        break;
      case 'reset':
        response.socket?.resetAndDestroy();
        break;
      default:
        response.writeHead(Number(this.#fault), { 'content-type': 'application/json' }).end('{"kind":"Status"}');
    }
  }

  #pass(request: IncomingMessage, response: ServerResponse): void {
    const { method, headers, url } = request;
    const options = { agent: this.#agent, headers, ...(method === undefined ? {} : { method }) };
    const onward = httpsRequest(new URL(url ?? '/', this.#target), options, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      // A watch may have nothing to tell for long; that it stands is told at once.
      response.flushHeaders();
      if (answer.statusCode === 200 && url?.includes('watch=true') === true) this.#watches.add(response);
      // What hangs brings nothing either on watches that are open already.
      answer.on('data', (chunk: Buffer) => {
        if (this.#fault !== 'hang') response.write(chunk);
      });
      answer.on('end', () => response.end()).on('error', () => response.destroy());
    });
    onward.on('error', () => response.destroy());
    response.on('close', () => {
      this.#watches.delete(response);
      onward.destroy();
    });
    request.pipe(onward);
  }
}
