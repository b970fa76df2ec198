import { randomBytes } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { issueCertificate } from '../../../operator/secrets/certificate.ts';

/** The part of a kubelet that the API server asks for logs; it serves all nodes of a test. */
export interface LogServer {
  readonly port: number;
  /** Keeps what a pod writes. */
  append(namespace: string, pod: string, text: string): void;
  /** The pod writes nothing more: who follows its log gets to the end. */
  end(namespace: string, pod: string): void;
  /** The end of it. Source of the length: kubelet, fallback of a termination message, 2048 bytes. */
  lastOf(namespace: string, pod: string): string;
  stop(): void;
}

interface PodLog {
  text: string;
  /** When each line began. */
  readonly times: string[];
  ended: boolean;
}

/**
 * `GET /containerLogs/NAMESPACE/POD/CONTAINER` with limitBytes, or with tailLines, timestamps and follow. Source:
 * pkg/kubelet/server/server.go of Kubernetes.
 */
export async function startLogServer(): Promise<LogServer> {
  const logs = new Map<string, PodLog>();
  const changes = new EventEmitter().setMaxListeners(0);
  const logOf = (key: string): PodLog => {
    const log = logs.get(key) ?? { text: '', times: [], ended: false };
    logs.set(key, log);
    return log;
  };
  const { certificate: cert, key } = await issueCertificate(['127.0.0.1'], new Date(), randomBytes);
  const server: Server = createServer({ cert, key }, ({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'https://127.0.0.1');
    const [, kind, namespace, pod] = pathname.split('/');
    const log = logs.get(`${namespace}/${pod}`);
    if (kind !== 'containerLogs' || log === undefined) response.writeHead(404).end('no such log');
    else if (searchParams.has('limitBytes')) response.end(log.text.slice(0, Number(searchParams.get('limitBytes'))));
    else void writeLines(log, searchParams, response, () => once(changes, `${namespace}/${pod}`));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port = 0 }: Partial<AddressInfo> = Object(server.address());
  return {
    port,
    append(namespace, pod, text) {
      const log = logOf(`${namespace}/${pod}`);
      const time = new Date().toISOString();
      log.text += text;
      while (log.times.length < log.text.split('\n').length - 1) log.times.push(time);
      changes.emit(`${namespace}/${pod}`);
    },
    end(namespace, pod) {
      logOf(`${namespace}/${pod}`).ended = true;
      changes.emit(`${namespace}/${pod}`);
    },
    lastOf: (namespace, pod) => (logs.get(`${namespace}/${pod}`)?.text ?? '').slice(-2048),
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** Whole lines, as far as they are there; where they are followed, until the pod has ended. */
async function writeLines(
  log: PodLog,
  query: URLSearchParams,
  response: ServerResponse,
  change: () => Promise<unknown>,
): Promise<void> {
  const tail = Number(query.get('tailLines') ?? Infinity);
  let next = Math.max(0, log.times.length - tail);
  response.writeHead(200, { 'content-type': 'text/plain' });
  while (true) {
    const lines = log.text.split('\n');
    for (; next < log.times.length; next++) {
      response.write(query.get('timestamps') === 'true' ? `${log.times[next]} ${lines[next]}\n` : `${lines[next]}\n`);
    }
    if (query.get('follow') !== 'true' || log.ended) break;
    await change();
  }
  response.end();
}
