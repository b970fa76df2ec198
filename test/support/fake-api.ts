import { once } from 'node:events';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { createServer } from 'node:http';
import type { KubeConfig } from '@kubernetes/client-node';
import { listenAsApiServer } from './fake-server.ts';

/** An object as a fake API server keeps it. */
export interface FakeObject {
  readonly metadata: { name: string; namespace: string; uid: string; resourceVersion?: string };
}

/** What happens to a request instead of an answer; undefined answers it. */
export type Fault = (response: ServerResponse, kind: 'list' | 'watch') => boolean;

/** An HTTP server that lists and watches one collection, and fails as it is told to. */
export class FakeApi {
  readonly #server: Server = createServer((request, response) => this.#answer(request, response));
  readonly #objects = new Map<string, FakeObject>();
  readonly #watches = new Set<ServerResponse>();
  #version = 1;
  /** Takes a request away; returns whether it did. */
  fault: Fault = () => false;
  /** The only token that is taken, if any. */
  token: string | undefined;
  refused = 0;
  /** When each request came. */
  readonly askedMs: number[] = [];
  lists = 0;
  watches = 0;
  openWatches = (): number => this.#watches.size;

  start(): Promise<KubeConfig> {
    return listenAsApiServer(this.#server);
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  /** Adds or changes an object; watchers hear of it unless they are to miss it. */
  put(name: string, uid: string, missed: boolean = false): void {
    const type = this.#objects.has(name) ? 'MODIFIED' : 'ADDED';
    this.#version += 1;
    const metadata = { name, namespace: 'default', uid, resourceVersion: String(this.#version) };
    this.#objects.set(name, { metadata });
    if (!missed) this.send({ type, object: { metadata } });
  }

  remove(name: string, missed: boolean = false): void {
    const object = this.#objects.get(name);
    this.#objects.delete(name);
    this.#version += 1;
    if (!missed) this.send({ type: 'DELETED', object });
  }

  /** Writes to every open watch, whatever it is. */
  write(text: string): void {
    for (const watch of this.#watches) watch.write(text);
  }

  send(event: unknown): void {
    for (const watch of this.#watches) watch.write(`${JSON.stringify(event)}\n`);
  }

  /** Ends every open watch, in good order or not. */
  closeWatches(how: 'end' | 'reset'): void {
    for (const watch of this.#watches) {
      if (how === 'end') watch.end();
      else watch.socket?.resetAndDestroy();
    }
  }

  #answer(request: IncomingMessage, response: ServerResponse): void {
    const query = new URL(request.url ?? '', 'http://fake').searchParams;
    const kind = query.get('watch') === 'true' ? 'watch' : 'list';
    this.askedMs.push(performance.now());
    if (kind === 'watch') this.watches += 1;
    else this.lists += 1;
    if (this.token !== undefined && request.headers.authorization !== `Bearer ${this.token}`) {
      this.refused += 1;
      response.writeHead(401).end('{}');
      return;
    }
    if (this.fault(response, kind)) return;
    response.writeHead(200, { 'content-type': 'application/json' });
    if (kind === 'list') response.end(JSON.stringify(this.#page(query)));
    else {
      response.flushHeaders();
      this.#watches.add(response);
      response.on('close', () => this.#watches.delete(response));
    }
  }

  #page(query: URLSearchParams): unknown {
    const start = Number(query.get('continue') ?? 0);
    const end = start + Number(query.get('limit'));
    const all = [...this.#objects.values()];
    const rest = end < all.length ? { continue: String(end) } : {};
    const metadata = { resourceVersion: String(this.#version), ...rest };
    return { kind: 'ThingList', apiVersion: 'test/v1', metadata, items: all.slice(start, end) };
  }
}
