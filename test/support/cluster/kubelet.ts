import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { makeCertificate } from '../certificates.ts';

/** What the log of a pod is asked for by: its namespace and name. */
type PodKey = `${string}/${string}`;

interface PodLog {
  readonly lines: { readonly time: string; readonly text: string }[];
  rest: string;
  ended: boolean;
}

/**
 * The part of a kubelet that an API server asks for logs: GET /containerLogs/NAMESPACE/POD/CONTAINER with follow, tailLines,
 * timestamps and limitBytes; it serves all nodes of a test. Source: kubernetes pkg/kubelet/server/server.go, getContainerLogs.
 */
export class KubeletLogs {
  readonly #logs = new Map<PodKey, PodLog>();
  readonly #changes = new EventEmitter().setMaxListeners(0);
  readonly #server: Server;

  constructor() {
    const { certificate: cert, key } = makeCertificate();
    this.#server = createServer({ cert, key }, ({ url = '' }, response) => {
      this.#answer(new URL(url, 'https://kubelet'), response).catch(() => response.destroy());
    });
  }

  /** @returns the port on 127.0.0.1, for the `daemonEndpoints` of nodes */
  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    const address = this.#server.address();
    return typeof address === 'object' && address !== null ? address.port : 0;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  append(pod: PodKey, output: string): void {
    const log = this.#logOf(pod);
    const lines = `${log.rest}${output}`.split('\n');
    log.rest = lines.pop() ?? '';
    const time = new Date().toISOString();
    log.lines.push(...lines.map((text) => ({ time, text })));
    this.#changes.emit(pod);
  }

  /** The pod's process is gone: followers get to the end. */
  end(pod: PodKey): void {
    this.#logOf(pod).ended = true;
    this.#changes.emit(pod);
  }

  /** The end of what a pod wrote. Source of the length: kubelet, fallback of a termination message, 2048 bytes. */
  lastOf(pod: PodKey): string {
    const { lines, rest } = this.#logOf(pod);
    return [...lines.map(({ text }) => text), rest].join('\n').slice(-2048);
  }

  #logOf(pod: PodKey): PodLog {
    const log = this.#logs.get(pod) ?? { lines: [], rest: '', ended: false };
    this.#logs.set(pod, log);
    return log;
  }

  async #answer({ pathname, searchParams }: URL, response: ServerResponse): Promise<void> {
    const [, namespace, pod] = /^\/containerLogs\/([^/]+)\/([^/]+)\//.exec(pathname) ?? [];
    const key: PodKey = `${namespace}/${pod}`;
    const log = this.#logs.get(key);
    if (log === undefined) return void response.writeHead(404).end('no such log');
    let left = Number(searchParams.get('limitBytes') ?? Infinity);
    const tail = searchParams.get('tailLines');
    let next = tail === null ? 0 : Math.max(0, log.lines.length - Number(tail));
    response.writeHead(200, { 'content-type': 'text/plain' });
    while (true) {
      for (; next < log.lines.length; next++) {
        const { time, text } = log.lines[next]!;
        const line = searchParams.get('timestamps') === 'true' ? `${time} ${text}\n` : `${text}\n`;
        response.write(line.slice(0, left));
        left = Math.max(0, left - line.length);
      }
      if (left === 0 || searchParams.get('follow') !== 'true' || log.ended) break;
      await once(this.#changes, key);
    }
    response.end();
  }
}
