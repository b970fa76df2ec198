import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Source: buckets of controller-runtime's reconcile time. */
const RECONCILE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

const CONTROLLER = 'trainingjob';

/** Metrics under the names that controller dashboards use already (controller-runtime's), plus the project's own. */
export class ControllerMetrics {
  readonly registry: Registry = new Registry();
  readonly #reconciles: Counter<'controller' | 'result'>;
  readonly #seconds: Histogram<'controller'>;

  constructor(queueDepth: () => number, searchesRunning: () => number) {
    const registers = [this.registry];
    collectDefaultMetrics({ register: this.registry });
    this.#reconciles = new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Visits, by result.',
      labelNames: ['controller', 'result'],
      registers,
    });
    // All results from the start, so that a dashboard shows 0 and not a gap.
    for (const result of ['success', 'error', 'requeue_after'])
      this.#reconciles.inc({ controller: CONTROLLER, result }, 0);
    this.#seconds = new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Length of a visit.',
      labelNames: ['controller'],
      buckets: RECONCILE_BUCKETS_SECONDS,
      registers,
    });
    const depth: Gauge<'name'> = new Gauge({
      name: 'workqueue_depth',
      help: 'Jobs that wait for a visit.',
      labelNames: ['name'],
      registers,
      collect: () => depth.set({ name: CONTROLLER }, queueDepth()),
    });
    const searches: Gauge = new Gauge({
      name: 'soapstone_searches_running',
      help: 'Searches under way.',
      registers,
      collect: () => searches.set(searchesRunning()),
    });
  }

  observe(result: 'success' | 'error' | 'requeue_after', seconds: number): void {
    this.#reconciles.inc({ controller: CONTROLLER, result });
    this.#seconds.observe({ controller: CONTROLLER }, seconds);
  }
}
