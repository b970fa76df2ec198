import { RELEASE, rateBy, series } from '../promql/queries.ts';
import type { DashboardSpec } from './dashboard.ts';
import type { PanelSpec, RowSpec } from './panels.ts';

const CONTROLLER_SERIES = 'controller_runtime_max_concurrent_reconciles{controller="trainingjob"';

/** Other controllers have metrics of the same names. */
const SCOPE = { filter: 'namespace=~"$namespace", controller="trainingjob"', window: '$__rate_interval' };
const QUEUE = { filter: 'namespace=~"$namespace", name="trainingjob"', window: '$__rate_interval' };
const OWN = { filter: 'namespace=~"$namespace"', window: '$__rate_interval' };
const LEASE = series('leader_election_master_status', { filter: 'namespace=~"$namespace", name="soapstone"' });

/** Of several installations, each has its own queue, visits and API requests. */
const OF_RELEASE = '{{namespace}} {{service}}';
const by = (how: 'max' | 'sum', selector: string, labels: string = RELEASE): string =>
  `${how} by (${labels}) (${selector})`;

/** Of metrics that every program has: those of processes that are Soapstone's controller. */
const ours = (expr: string): string => `${expr} and on (instance) ${CONTROLLER_SERIES}, namespace=~"$namespace"}`;

const requests = (more: string = ''): string =>
  ours(`rate(${series('rest_client_requests_total', { filter: 'namespace=~"$namespace"' }, more)}[$__rate_interval])`);

const stat = (title: string, description: string, expr: string, unit: string): PanelSpec & { kind: 'stat' } => ({
  kind: 'stat',
  title,
  description,
  queries: [{ expr }],
  unit,
});

/** Lines of p50, p95 and p99 of a histogram. */
const quantiles = (title: string, description: string, name: string, scope: typeof SCOPE): PanelSpec => ({
  kind: 'lines',
  title,
  description,
  queries: [0.5, 0.95, 0.99].map((quantile) => ({
    expr: `histogram_quantile(${quantile}, ${rateBy(`${RELEASE}, le`, `${name}_bucket`, scope)})`,
    legend: `${OF_RELEASE} p${100 * quantile}`,
  })),
  unit: 's',
});

const NOW: RowSpec = {
  title: 'Now',
  panels: [
    {
      kind: 'stat',
      title: 'Leaders',
      description:
        'Controllers that act, of each release. Anything but 1 is wrong for longer than a change of leaders.',
      queries: [{ expr: by('sum', LEASE), legend: OF_RELEASE }],
      unit: 'short',
      redBelow: 1,
      redFrom: 2,
    },
    stat('Controllers', 'Replicas that answer; all but the leader stand by.', `count(${LEASE})`, 'short'),
    {
      ...stat(
        'Silence of the API server',
        'How long a watch has gone without an answer; 0 while all stand.',
        'max(soapstone_watch_stale_seconds{namespace=~"$namespace"})',
        's',
      ),
      redFrom: 60,
    },
    stat(
      'Jobs',
      'TrainingJobs that the controller knows, in any state.',
      `sum(max by (${RELEASE}, state) (${series('soapstone_jobs', OWN)}))`,
      'short',
    ),
    {
      kind: 'lines',
      title: 'Leader',
      description:
        'Which replica leads. A line that jumps often means that the lease is lost again and again: see the API server.',
      queries: [{ expr: LEASE, legend: '{{namespace}} {{pod}} {{instance}}' }],
      unit: 'short',
      max: 1,
      width: 24,
      height: 5,
    },
  ],
};

const VISITS: RowSpec = {
  title: 'Visits to jobs',
  panels: [
    {
      kind: 'lines',
      title: 'Reconciles',
      description: 'Visits in a second, by result. requeue_after is a visit that comes back by itself, no failure.',
      queries: [
        {
          expr: rateBy(`${RELEASE}, result`, 'controller_runtime_reconcile_total', SCOPE),
          legend: `${OF_RELEASE} {{result}}`,
        },
      ],
      unit: 'suffix: /s',
    },
    quantiles('Length of visits', 'How long visits take.', 'controller_runtime_reconcile_time_seconds', SCOPE),
    {
      kind: 'lines',
      title: 'Queue',
      description: 'Jobs that wait for a visit, and visits under way with the most there can be.',
      queries: [
        { expr: by('sum', series('workqueue_depth', QUEUE)), legend: `${OF_RELEASE} waiting` },
        {
          expr: by('sum', series('controller_runtime_active_workers', SCOPE)),
          legend: `${OF_RELEASE} under way`,
        },
        {
          expr: by('max', series('controller_runtime_max_concurrent_reconciles', SCOPE)),
          legend: `${OF_RELEASE} at most under way`,
        },
      ],
      unit: 'short',
    },
    quantiles('Wait in the queue', 'How long jobs wait for their visit.', 'workqueue_queue_duration_seconds', QUEUE),
    {
      kind: 'lines',
      title: 'Put into the queue',
      description: 'Jobs put into the queue in a second, and visits repeated after a failure.',
      queries: [
        { expr: rateBy(RELEASE, 'workqueue_adds_total', QUEUE), legend: `${OF_RELEASE} added` },
        { expr: rateBy(RELEASE, 'workqueue_retries_total', QUEUE), legend: `${OF_RELEASE} repeated` },
      ],
      unit: 'suffix: /s',
    },
    {
      kind: 'lines',
      title: 'Unfinished visits',
      description:
        'The longest visit under way, and all of them added up. A line that only rises is a visit that hangs.',
      queries: [
        {
          expr: by('max', series('workqueue_longest_running_processor_seconds', QUEUE)),
          legend: `${OF_RELEASE} longest`,
        },
        { expr: by('sum', series('workqueue_unfinished_work_seconds', QUEUE)), legend: `${OF_RELEASE} all` },
      ],
      unit: 's',
    },
  ],
};

const API: RowSpec = {
  title: 'API server',
  panels: [
    {
      kind: 'lines',
      title: 'Requests',
      description: 'Requests beside watches in a second, by method.',
      queries: [{ expr: by('sum', requests(), `${RELEASE}, method`), legend: `${OF_RELEASE} {{method}}` }],
      unit: 'suffix: /s',
    },
    {
      kind: 'lines',
      title: 'Errors',
      description:
        'Answers other than success in a second, by status. 404 and 409 are normal: what is asked for is not there yet, or was changed meanwhile. 403 asks for rights, 429 for patience, 5xx and <error> for a look at the API server.',
      queries: [
        {
          expr: by('sum', requests('code!~"2.."'), `${RELEASE}, method, code`),
          legend: `${OF_RELEASE} {{method}} {{code}}`,
        },
      ],
      unit: 'suffix: /s',
    },
    {
      kind: 'lines',
      title: 'Changes that failed',
      description:
        'Visits in a second that could not create, change or delete all that they decided, by reason. CreationForbidden and CreationFailed count for the alert SoapstoneReconcileErrors, as failed visits do.',
      queries: [
        {
          expr: rateBy(`${RELEASE}, reason`, 'soapstone_apply_failures_total', OWN),
          legend: `${OF_RELEASE} {{reason}}`,
        },
      ],
      unit: 'suffix: /s',
      width: 24,
      height: 6,
    },
  ],
};

const PROCESS: RowSpec = {
  title: 'Process',
  panels: [
    {
      kind: 'lines',
      title: 'Memory',
      description: 'Resident memory of each replica; resources.limits.memory of the chart is the most it may have.',
      queries: [{ expr: ours('process_resident_memory_bytes'), legend: '{{namespace}} {{pod}} {{instance}}' }],
      unit: 'bytes',
      width: 8,
    },
    {
      kind: 'lines',
      title: 'Processor',
      description: 'Processor time in a second, threads of searches included.',
      queries: [
        {
          expr: ours('rate(process_cpu_seconds_total[$__rate_interval])'),
          legend: '{{namespace}} {{pod}} {{instance}}',
        },
      ],
      unit: 'short',
      width: 8,
    },
    {
      kind: 'lines',
      title: 'Lag of the event loop',
      description:
        'What 99 of 100 turns of the event loop are late at most. Seconds of it delay the lease, and with it leadership.',
      queries: [{ expr: ours('nodejs_eventloop_lag_p99_seconds'), legend: '{{namespace}} {{pod}} {{instance}}' }],
      unit: 's',
      width: 8,
    },
  ],
};

/** Whether the controller does its work. */
export const CONTROLLER: DashboardSpec = {
  uid: 'soapstone-controller',
  title: 'Soapstone / Controller',
  description: 'Whether the controller does its work: visits, queue, API server, leadership.',
  variables: [
    {
      name: 'namespace',
      label: 'Namespace',
      description: "Namespaces of the controller's pods.",
      series: `${CONTROLLER_SERIES}}`,
      of: 'namespace',
      multiple: true,
    },
  ],
  rows: [NOW, VISITS, API, PROCESS],
};
