import type { RequestListener, Server } from 'node:http';
import { createServer } from 'node:http';
import type { Registry } from 'prom-client';
import type { ProcessConfig } from './settings.ts';

/** What health and readiness rest on. */
export interface HealthSources {
  readonly isSynced: () => boolean;
  readonly staleMs: () => number;
  readonly longestVisitSeconds: () => number;
  readonly leads: () => boolean;
}

/** Watches that cannot be mended for so long make a controller not ready. */
const STALE_MS = 60_000;

/** Every request of a visit ends by itself far sooner; a visit that is longer than this hangs. */
const HUNG_VISIT_SECONDS = 600;

/** An answer to a probe: whether it is well, and why not. */
export interface Probe {
  readonly ok: boolean;
  readonly text: string;
}

/**
 * Whether the process can still do its work. An API server that is down is no reason to restart it: caches and searches would
 * be lost, and nothing won.
 */
export function healthOf({ longestVisitSeconds }: HealthSources): Probe {
  const seconds = longestVisitSeconds();
  return seconds > HUNG_VISIT_SECONDS
    ? { ok: false, text: `a visit has been running for ${Math.round(seconds)} s` }
    : { ok: true, text: 'ok' };
}

/** Whether what the controller knows is true: listed once, and watched since. */
export function readinessOf({ isSynced, staleMs, leads }: HealthSources): Probe {
  if (!isSynced()) return { ok: false, text: 'waiting for the first list of every kind' };
  if (staleMs() > STALE_MS)
    return { ok: false, text: `the API server has not answered for ${Math.round(staleMs() / 1000)} s` };
  return { ok: true, text: leads() ? 'ok: leader' : 'ok: standby' };
}

/**
 * A server that listens where the settings say, and answers nothing yet: so that a port which is taken is told before any work.
 * @param onLaterError hears of connections that could not be taken, which end nothing
 * @throws {Error} a sentence where it cannot listen
 */
export function listenForHealth(
  { metricsHost: host, metricsPort: port }: Pick<ProcessConfig, 'metricsHost' | 'metricsPort'>,
  onLaterError: (error: Error) => void,
): Promise<Server> {
  const server = createServer();
  const where = host === '' ? `port ${port}` : `${host}:${port}`;
  return new Promise((resolve, reject) => {
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (server.listening) onLaterError(error);
      else reject(new Error(`metrics and probes cannot be served on ${where}; ${cureOf(error)}`, { cause: error }));
    });
    // Without an address Node listens on `::`, which takes IPv4 too; on 0.0.0.0 where the machine has no IPv6.
    server.listen({ port, ...(host !== '' && { host }) }, () => resolve(server));
  });
}

function cureOf({ code, message }: NodeJS.ErrnoException): string {
  switch (code) {
    case 'EADDRINUSE':
      return 'another process has the port: stop it, or choose another with --metrics-port';
    case 'EACCES':
      return 'this user may not have the port: choose one from 1024 on with --metrics-port';
    case 'EADDRNOTAVAIL':
    case 'ENOTFOUND':
      return 'this machine does not have the address: correct --metrics-host';
    default:
      return message;
  }
}

/** Answers /healthz, /readyz and /metrics. */
export function healthAnswers(sources: HealthSources, registry: Registry): RequestListener {
  return (request, response) => {
    const reply = ({ ok, text }: Probe): void => void response.writeHead(ok ? 200 : 503).end(`${text}\n`);
    // Not by URL: anything may be asked for, and what is none would throw.
    switch (request.url?.split('?')[0]) {
      case '/healthz':
        reply(healthOf(sources));
        break;
      case '/readyz':
        reply(readinessOf(sources));
        break;
      case '/metrics':
        registry.metrics().then(
          (text) => response.setHeader('content-type', registry.contentType).end(text),
          () => response.writeHead(500).end(),
        );
        break;
      default:
        response.writeHead(404).end();
    }
  };
}
