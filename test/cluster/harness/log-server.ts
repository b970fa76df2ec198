import { randomBytes } from 'node:crypto';
import type { Server } from 'node:https';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { issueCertificate } from '../../../operator/secrets/certificate.ts';

/** The part of a kubelet that the API server asks for logs; it serves all nodes of a test. */
export interface LogServer {
  readonly port: number;
  /** Keeps what a pod writes. */
  append(namespace: string, pod: string, text: string): void;
  /** The end of it. Source of the length: kubelet, fallback of a termination message, 2048 bytes. */
  lastOf(namespace: string, pod: string): string;
  stop(): void;
}

/** `GET /containerLogs/NAMESPACE/POD/CONTAINER?limitBytes=N`. Source: pkg/kubelet/server/server.go of Kubernetes. */
export async function startLogServer(): Promise<LogServer> {
  const logs = new Map<string, string>();
  const { certificate: cert, key } = await issueCertificate(['127.0.0.1'], new Date(), randomBytes);
  const server: Server = createServer({ cert, key }, ({ url = '' }, response) => {
    const { pathname, searchParams } = new URL(url, 'https://127.0.0.1');
    const [, kind, namespace, pod] = pathname.split('/');
    const log = logs.get(`${namespace}/${pod}`);
    if (kind !== 'containerLogs' || log === undefined) response.writeHead(404).end('no such log');
    else response.end(log.slice(0, Number(searchParams.get('limitBytes') ?? Infinity)));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port = 0 }: Partial<AddressInfo> = Object(server.address());
  return {
    port,
    append(namespace, pod, text) {
      const key = `${namespace}/${pod}`;
      logs.set(key, (logs.get(key) ?? '') + text);
    },
    lastOf: (namespace, pod) => (logs.get(`${namespace}/${pod}`) ?? '').slice(-2048),
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };
}
