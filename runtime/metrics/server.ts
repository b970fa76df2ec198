import { createServer } from 'node:http';
import type { Registry } from 'prom-client';
import type { Address } from '../transport/listen.ts';
import { listen } from '../transport/listen.ts';

/** A running metrics endpoint. */
export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/**
 * Serves /metrics, /healthz and /spans over HTTP.
 * @param spans what devices recorded by now, see `runtime/profile/recorded-spans.ts`
 * @throws {Error} a sentence where the port is taken
 */
export async function serveMetrics(
  registry: Registry,
  { host, port }: Address,
  spans: () => string,
): Promise<MetricsServer> {
  const server = createServer((request, response) => {
    if (request.url === '/healthz') response.end('ok\n');
    else if (request.url === '/metrics') {
      registry.metrics().then(
        (text) => response.setHeader('content-type', registry.contentType).end(text),
        () => response.writeHead(500).end(),
      );
    } else if (request.url === '/spans') {
      // As text: the API server's client would take JSON apart.
      response.setHeader('content-type', 'text/plain; charset=utf-8').end(spans());
    } else response.writeHead(404).end('there are /metrics, /healthz and /spans\n');
  });
  // A scrape that could not be taken comes again.
  const actual = await listen(server, { host, port }, 'cannot serve metrics on', () => undefined);
  return {
    url: `http://${host}:${actual}/metrics`,
    close: () =>
      new Promise((closed) => {
        server.close(() => closed());
        server.closeAllConnections();
      }),
  };
}
