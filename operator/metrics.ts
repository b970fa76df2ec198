import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { TrainingJobResource } from './api/resource.ts';
import type { CreationReason } from './decide/rules/placement.ts';
import { CREATION_REASONS } from './decide/rules/placement.ts';
import { registerJobMetrics } from './job-metrics.ts';
import { CONTROLLER_METRICS } from './metric-names.ts';
import type { MetricName } from './metric-names.ts';
import type { SearchReport } from './planning/search-records.ts';
import { SearchRecords } from './planning/search-records.ts';
import type { QueueObserver, WorkQueue } from './watch/work-queue.ts';
import type { Plan } from '../soap/plan/plan.ts';

/** Source: buckets of controller-runtime's reconcile time, and of client-go's work queue. */
const RECONCILE_BUCKETS_SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];
const QUEUE_BUCKETS_SECONDS = [1e-5, 1e-4, 1e-3, 0.01, 0.1, 1, 10, 100, 1000];
const SEARCH_BUCKETS_SECONDS = [1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600];

const CONTROLLER = 'trainingjob';

/** What is read when metrics are asked for. */
export interface MetricSources {
  readonly jobs: () => readonly TrainingJobResource[];
  readonly queue: () => Pick<WorkQueue, 'depth' | 'active' | 'workingSeconds'>;
  readonly searches: { readonly running: number; readonly waiting: number };
  readonly concurrency: number;
  readonly leads: () => boolean;
  readonly staleMs: () => number;
  /** Namespaces that are watched, or the empty one for all, each with whether it cannot be. */
  readonly namespaces: () => Iterable<readonly [namespace: string, isRefused: boolean]>;
}

/** Metrics under the names that controller dashboards use already (controller-runtime's), plus the project's own. */
export class ControllerMetrics {
  readonly registry: Registry = new Registry();
  readonly #reconciles = this.#counter('controller_runtime_reconcile_total', ['controller', 'result']);
  readonly #errors = this.#counter('controller_runtime_reconcile_errors_total', ['controller']);
  readonly #seconds = this.#histogram(
    'controller_runtime_reconcile_time_seconds',
    ['controller'],
    RECONCILE_BUCKETS_SECONDS,
  );
  readonly #unapplied = this.#counter('soapstone_apply_failures_total', ['reason']);
  readonly #requests = this.#counter('soapstone_api_requests_total', ['method']);
  readonly #answers = this.#counter('rest_client_requests_total', ['method', 'code']);
  readonly #records = new SearchRecords();
  readonly #searches = this.#counter('soapstone_searches_total', ['result']);
  readonly #searchSeconds = this.#histogram('soapstone_search_seconds', [], SEARCH_BUCKETS_SECONDS);
  readonly #proposals = this.#counter('soapstone_search_proposals_total', []);
  /** Goes to the work queue. */
  readonly queueObserver: QueueObserver;

  constructor(sources: MetricSources) {
    collectDefaultMetrics({ register: this.registry });
    // All results from the start, so that a dashboard shows 0 and not a gap.
    for (const result of ['success', 'error', 'requeue_after'])
      this.#reconciles.inc({ controller: CONTROLLER, result }, 0);
    for (const reason of CREATION_REASONS) this.#unapplied.inc({ reason }, 0);
    for (const result of ['found', 'failed']) this.#searches.inc({ result }, 0);
    this.#errors.inc({ controller: CONTROLLER }, 0);
    this.queueObserver = this.#queueMetrics();
    this.#stateMetrics(sources);
    this.#jobMetrics(sources);
    registerJobMetrics(this.registry, sources.jobs, this.#records);
  }

  observe(result: 'success' | 'error' | 'requeue_after', seconds: number): void {
    this.#reconciles.inc({ controller: CONTROLLER, result });
    if (result === 'error') this.#errors.inc({ controller: CONTROLLER });
    this.#seconds.observe({ controller: CONTROLLER }, seconds);
  }

  observeApplyFailure(reason: CreationReason): void {
    this.#unapplied.inc({ reason });
  }

  observeRequest(method: string): void {
    this.#requests.inc({ method });
  }

  /** @param code HTTP status, or `<error>` as client-go has it where there was no answer */
  observeAnswer(method: string, code: string): void {
    this.#answers.inc({ method, code });
  }

  /** @param seconds that the search took; undefined of a check, and where none was begun */
  observeSearch(result: 'found' | 'failed', seconds: number | undefined): void {
    this.#searches.inc({ result });
    if (seconds !== undefined) this.#searchSeconds.observe(seconds);
  }

  /** @param job namespace and name */
  observeSearchProgress(job: string, report: SearchReport): void {
    this.#proposals.inc(this.#records.report(job, report));
  }

  /** Takes in the plan of a job, seen on a visit. */
  observePlan(job: string, plan: Plan): void {
    this.#records.planned(job, plan);
  }

  /** Forgets the searches of a job, whether or not anybody asks for metrics. */
  forgetSearches(job: string): void {
    this.#records.forget(job);
  }

  #queueMetrics(): QueueObserver {
    const name = { name: CONTROLLER };
    const added = this.#counter('workqueue_adds_total', ['name']);
    const retried = this.#counter('workqueue_retries_total', ['name']);
    const waited = this.#histogram('workqueue_queue_duration_seconds', ['name'], QUEUE_BUCKETS_SECONDS);
    const worked = this.#histogram('workqueue_work_duration_seconds', ['name'], QUEUE_BUCKETS_SECONDS);
    added.inc(name, 0);
    retried.inc(name, 0);
    return {
      added: () => added.inc(name),
      retried: () => retried.inc(name),
      started: (seconds) => waited.observe(name, seconds),
      ended: (seconds) => worked.observe(name, seconds),
    };
  }

  #stateMetrics({ queue, searches, concurrency, leads, staleMs, namespaces }: MetricSources): void {
    const name = { name: CONTROLLER };
    const working = (): readonly number[] => queue().workingSeconds;
    this.#gauge('workqueue_depth', ['name'], (gauge) => gauge.set(name, queue().depth));
    this.#gauge('workqueue_longest_running_processor_seconds', ['name'], (gauge) =>
      gauge.set(name, Math.max(0, ...working())),
    );
    this.#gauge('workqueue_unfinished_work_seconds', ['name'], (gauge) =>
      gauge.set(
        name,
        working().reduce((a, b) => a + b, 0),
      ),
    );
    this.#gauge('controller_runtime_active_workers', ['controller'], (gauge) =>
      gauge.set({ controller: CONTROLLER }, queue().active),
    );
    this.#gauge('controller_runtime_max_concurrent_reconciles', ['controller'], (gauge) =>
      gauge.set({ controller: CONTROLLER }, concurrency),
    );
    this.#gauge('leader_election_master_status', ['name'], (gauge) =>
      gauge.set({ name: 'soapstone' }, leads() ? 1 : 0),
    );
    this.#gauge('soapstone_watch_stale_seconds', [], (gauge) => gauge.set(staleMs() / 1000));
    this.#gauge('soapstone_namespace_refused', ['namespace'], (gauge) => {
      for (const [namespace, isRefused] of namespaces()) gauge.set({ namespace }, isRefused ? 1 : 0);
    });
    this.#gauge('soapstone_searches_running', [], (gauge) => gauge.set(searches.running));
    this.#gauge('soapstone_searches_waiting', [], (gauge) => gauge.set(searches.waiting));
  }

  #jobMetrics({ jobs }: MetricSources): void {
    this.#gauge('soapstone_jobs', ['state'], (gauge) => {
      gauge.reset();
      for (const { status } of jobs()) gauge.inc({ state: status?.state ?? 'New' });
    });
    this.#gauge('soapstone_devices_in_use', [], (gauge) => {
      const using = jobs().filter(({ status }) => status?.state === 'Starting' || status?.state === 'Running');
      gauge.set(using.reduce((sum, { status }) => sum + (status?.devices ?? 0), 0));
    });
  }

  #counter<L extends string>(name: MetricName, labelNames: L[]): Counter<L> {
    return new Counter({ name, help: CONTROLLER_METRICS[name], labelNames, registers: [this.registry] });
  }

  #histogram<L extends string>(name: MetricName, labelNames: L[], buckets: number[]): Histogram<L> {
    return new Histogram({ name, help: CONTROLLER_METRICS[name], labelNames, buckets, registers: [this.registry] });
  }

  #gauge<L extends string>(name: MetricName, labelNames: L[], read: (gauge: Gauge<L>) => void): void {
    const gauge: Gauge<L> = new Gauge({
      name,
      help: CONTROLLER_METRICS[name],
      labelNames,
      registers: [this.registry],
      collect: () => read(gauge),
    });
  }
}
