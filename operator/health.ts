import type { Server } from 'node:http';
import { createServer } from 'node:http';
import type { Registry } from 'prom-client';

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

/** Serves /healthz, /readyz and /metrics. */
export function healthServer(sources: HealthSources, registry: Registry): Server {
  return createServer((request, response) => {
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
  });
}
