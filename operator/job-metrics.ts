import { Counter, Gauge } from 'prom-client';
import type { Registry } from 'prom-client';
import type { TrainingJobResource } from './api/resource.ts';
import type { MetricName } from './metric-names.ts';
import { CONTROLLER_METRICS } from './metric-names.ts';
import type { SearchRecord, SearchRecords } from './planning/search-records.ts';

/** Jobs with series of their own; of more, Prometheus would be asked to keep what nobody looks at. */
const MAX_JOB_SERIES = 1000;

/** The names of the labels that say which job a series is of: those under which runtime pods have theirs. */
type JobLabel = 'namespace' | 'job_name';

type Labels = Readonly<Record<JobLabel, string>>;

/** The jobs that have series: those that are not over go first. */
function shownJobs(jobs: readonly TrainingJobResource[]): readonly TrainingJobResource[] {
  if (jobs.length <= MAX_JOB_SERIES) return jobs;
  const over = (job: TrainingJobResource): number =>
    job.status?.state === 'Complete' || job.status?.state === 'Failed' ? 1 : 0;
  return jobs.toSorted((a, b) => over(a) - over(b)).slice(0, MAX_JOB_SERIES);
}

/** Registers the series of single jobs. They are made anew each time they are asked for: those of a job that is gone go with it. */
export function registerJobMetrics(
  registry: Registry,
  jobs: () => readonly TrainingJobResource[],
  records: SearchRecords,
): void {
  const gauge = <L extends string>(
    name: MetricName,
    labelNames: L[],
    set: (gauge: Gauge<L | JobLabel>, labels: Labels, job: TrainingJobResource) => void,
  ): void => {
    const made: Gauge<L | JobLabel> = new Gauge({
      name,
      help: CONTROLLER_METRICS[name],
      labelNames: ['namespace', 'job_name', ...labelNames],
      registers: [registry],
      collect() {
        made.reset();
        for (const job of shownJobs(jobs())) set(made, labelsOf(job), job);
      },
    });
  };
  gauge('soapstone_job_state', ['state'], (state, labels, { status }) =>
    state.set({ ...labels, state: status?.state ?? 'New' }, 1),
  );
  gauge('soapstone_job_devices', [], (devices, labels, { status }) => devices.set(labels, status?.devices ?? 0));
  gauge('soapstone_job_attempt', [], (attempt, labels, { status }) => attempt.set(labels, status?.attempt ?? 0));
  gauge('soapstone_job_failures', ['reason'], (failures, labels, { status }) => {
    for (const [reason, count] of Object.entries(status?.failures ?? {})) failures.set({ ...labels, reason }, count);
  });
  gauge('soapstone_job_predicted_iteration_seconds', [], (predicted, labels, { status }) => {
    const seconds = iterationSeconds(status?.iteration);
    if (seconds !== undefined) predicted.set(labels, seconds);
  });
  gauge('soapstone_job_measured_iteration_seconds', [], (measured, labels, { status }) => {
    const seconds = status?.state === 'Running' ? iterationSeconds(status.measured?.iteration) : undefined;
    if (seconds !== undefined) measured.set(labels, seconds);
  });
  gauge('soapstone_job_progress_ratio', [], (progress, labels, { status }) => {
    const { step, steps } = status?.measured ?? { step: 0, steps: 0 };
    if (status?.state === 'Running' && steps > 0) progress.set(labels, step / steps);
  });
  gauge('soapstone_job_search_best_iteration_seconds', [], (best, labels) => {
    const record = recordOf(records, labels);
    if (record !== undefined) best.set(labels, record.iterationMs / 1000);
  });
  gauge('soapstone_job_baseline_iteration_seconds', ['strategy'], (baseline, labels) => {
    for (const [strategy, ms] of Object.entries(recordOf(records, labels)?.baselinesMs ?? {}))
      baseline.set({ ...labels, strategy }, ms / 1000);
  });
  const counter = (name: MetricName, read: (record: SearchRecord) => number): void => {
    const made: Counter<JobLabel> = new Counter({
      name,
      help: CONTROLLER_METRICS[name],
      labelNames: ['namespace', 'job_name'],
      registers: [registry],
      collect() {
        made.reset();
        for (const labels of shownJobs(jobs()).map(labelsOf)) {
          const record = recordOf(records, labels);
          if (record !== undefined) made.inc(labels, read(record));
        }
      },
    });
  };
  counter('soapstone_job_search_proposals_total', ({ proposals }) => proposals);
  counter('soapstone_job_search_accepted_total', ({ accepted }) => accepted);
}

function labelsOf({ metadata }: TrainingJobResource): Labels {
  return { namespace: metadata.namespace ?? '', job_name: metadata.name ?? '' };
}

function recordOf(records: SearchRecords, { namespace, job_name: name }: Labels): SearchRecord | undefined {
  return records.get(`${namespace}/${name}`);
}

/** Seconds of a status such as `12.3 ms`. */
function iterationSeconds(iteration: string | undefined): number | undefined {
  const milliseconds = Number(/^([0-9.e+-]+) ms$/.exec(iteration ?? '')?.[1] ?? Number.NaN);
  return Number.isFinite(milliseconds) ? milliseconds / 1000 : undefined;
}
