/** PromQL that dashboards and alerts share: so that a panel shows what an alert fires on. */

/** Which series a query is about, and over which time its rates are taken. */
export interface Scope {
  /** Label matchers, such as `namespace=~"$namespace"`; empty for all. */
  readonly filter: string;
  /** Such as `10m`. */
  readonly window: string;
}

/** The labels that say which job a series is of. */
export const JOB = 'namespace, job_name';

/** The labels that say which installation of the chart a controller is of: its namespace, and the service of its metrics. */
export const RELEASE = 'namespace, service';

/** The labels of one device of a job. */
export const DEVICE: string = `${JOB}, device`;

/** The labels of a way from one device of a job to another. */
export const WAY: string = `${DEVICE}, peer`;

/** A selector, with more matchers than those of the scope. */
export function series(name: string, { filter }: Pick<Scope, 'filter'>, more: string = ''): string {
  return `${name}{${[filter, more].filter((part) => part !== '').join(', ')}}`;
}

/** The rate of a counter in a second, summed by labels; pods of an earlier attempt count as the same job. */
export function rateBy(labels: string, name: string, scope: Scope, more: string = ''): string {
  return `sum by (${labels}) (rate(${series(name, scope, more)}[${scope.window}]))`;
}

/** A gauge of which several replicas or attempts may tell. */
export function maxBy(labels: string, name: string, scope: Pick<Scope, 'filter'>, more: string = ''): string {
  return `max by (${labels}) (${series(name, scope, more)})`;
}

/** A quotient that is not there, rather than not a number, where nothing happened. */
export function quotient(dividend: string, divisor: string, matching: string = ''): string {
  return `${dividend} / ${matching === '' ? '' : `${matching} `}(${divisor} > 0)`;
}

/** Measured seconds of an iteration, by job: of its slowest device. */
export function measuredIteration(scope: Scope): string {
  const name = 'soapstone_iteration_seconds';
  return `max by (${JOB}) (${quotient(rateBy(DEVICE, `${name}_sum`, scope), rateBy(DEVICE, `${name}_count`, scope))})`;
}

/** Predicted seconds of an iteration, by job. */
export function predictedIteration(scope: Scope): string {
  return maxBy(JOB, 'soapstone_predicted_iteration_seconds', scope);
}

/** Measured over predicted iteration time, by job: 1 where the prediction is right. */
export function measuredOverPredicted(scope: Scope): string {
  return quotient(measuredIteration(scope), predictedIteration(scope));
}

/** What a counter of devices comes to in one iteration, by device. */
export function perIteration(name: string, scope: Scope): string {
  return quotient(rateBy(DEVICE, name, scope), rateBy(DEVICE, 'soapstone_iteration_seconds_count', scope));
}

/** Measured over predicted time in kernels, by device. */
export function slowness(scope: Scope): string {
  const measured = perIteration('soapstone_device_compute_seconds_total', scope);
  return quotient(measured, maxBy(DEVICE, 'soapstone_predicted_device_compute_seconds', scope));
}

/**
 * How many times as slow a device is as the median device of its job, each held against what the plan has it compute: a device
 * that was given more work is no straggler.
 */
export function stragglers(scope: Scope): string {
  const each = slowness(scope);
  return quotient(`(${each})`, `quantile by (${JOB}) (0.5, ${each})`, `on (${JOB}) group_left ()`);
}

/** Measured over planned speed of each way between two devices, as measured before the first step: 1 where its labels are right. */
export function linkRatio(scope: Pick<Scope, 'filter'>): string {
  const of = (what: string): string => maxBy(WAY, `soapstone_link_${what}_bytes_per_second`, scope);
  return quotient(of('measured'), of('planned'));
}

/**
 * Throughput of a job now, over the median of its last hours. Each process is held against itself: an attempt with other devices, or
 * another job that had the name before, says nothing of what is usual.
 */
export function throughputShare({ filter }: Pick<Scope, 'filter'>, now: string, before: string): string {
  const name = series('soapstone_samples_per_second', { filter });
  const share = quotient(`avg_over_time(${name}[${now}])`, `quantile_over_time(0.5, ${name}[${before}])`);
  return `max by (${JOB}) (${share})`;
}
