import {
  JOB,
  linkRatio,
  maxBy,
  measuredOverPredicted,
  predictedIteration,
  rateBy,
  RELEASE,
  series,
  stragglers,
  throughputShare,
} from './promql/queries.ts';
import {
  ERRORS_PER_SECOND,
  HUNG_VISIT_SECONDS,
  LINK_ERROR,
  LONG_QUEUE,
  PREDICTION_ERROR,
  RESTARTS_AN_HOUR,
  STALE_SECONDS,
  STRAGGLER_RATIO,
  THROUGHPUT_SHARE,
} from './promql/thresholds.ts';

/** An alert: what is measured, when that is wrong, and what to say then. */
export interface AlertSpec {
  readonly name: string;
  /** PromQL of what is measured; it has series while all is well, too. */
  readonly signal: string;
  /** The comparison that makes it an alert. */
  readonly wrong: string;
  /** How long it must be wrong. */
  readonly for: string;
  readonly severity: 'info' | 'warning' | 'critical';
  /** A sentence; `{{ $labels.x }}` and `{{ $value }}` are Prometheus' own. */
  readonly summary: string;
  /** What it means for whom, and what to look at or do first, in sentences; with the same templates as the summary. */
  readonly description: string;
}

const ALL = { filter: '', window: '10m' };
const NAMED = '{{ $labels.namespace }}/{{ $labels.job_name }}';
const DESCRIBE = '`kubectl describe tj {{ $labels.job_name }} -n {{ $labels.namespace }}`';
const LOGS = '`kubectl logs -l soapstone.dev/job={{ $labels.job_name }} -n {{ $labels.namespace }} --prefix --tail 20`';
/** Which installation: its namespace and service, where the scrape tells them. */
const INSTALLED =
  '{{ with $labels.namespace }} in namespace {{ . }}{{ end }}{{ with $labels.service }} (service {{ . }}){{ end }}';
/** Which of its pods. */
const IN_POD =
  '{{ with $labels.pod }} in pod {{ . }}{{ end }}{{ with $labels.namespace }} of namespace {{ . }}{{ end }}';
const CONTROLLER_LOG =
  '`kubectl logs -l app.kubernetes.io/name=soapstone -n {{ with $labels.namespace }}{{ . }}{{ else }}NAMESPACE{{ end }} --prefix --tail 50`';
/** Labels of one controller process. */
const PROCESS = `${RELEASE}, pod`;
const CONTROLLER = { filter: 'controller="trainingjob"', window: '10m' };
/** What is for whoever runs the cluster: quotas, taken names and invalid pods are for the job's user. */
const REFUSED = { filter: 'reason=~"CreationForbidden|CreationFailed"', window: '10m' };
const LEADS = series('leader_election_master_status', { filter: 'name="soapstone"' });
const QUEUE = { filter: 'name="trainingjob"' };
/** What waits in the queue of whoever leads: that of a standby is held until it has read the cluster, and nobody waits for it. */
const WAITING = (depth: string): string => `max by (${RELEASE}) (${depth} and on (${PROCESS}) ${LEADS} == 1)`;

/** 1 of a job that has failed. */
const FAILED = maxBy(JOB, 'soapstone_job_state', ALL, 'state="Failed"');

/** All alerts, those of users first. Each has a runbook in docs/operations.md. */
export const ALERTS: readonly AlertSpec[] = [
  {
    name: 'SoapstoneJobStuck',
    // Every process tells its prediction from its start on, the step only once all devices are ready: until then it makes none.
    signal: `(sum by (${JOB}) (changes(soapstone_step[15m])) or 0 * ${predictedIteration(ALL)}) and on (${JOB}) ${maxBy(JOB, 'soapstone_job_state', ALL, 'state="Running"')}`,
    wrong: '== 0',
    for: '15m',
    severity: 'critical',
    summary: `Job ${NAMED} runs and makes no step.`,
    description:
      'Its pods run and hold devices, but no training step has ended for at least 15 minutes. A device, a link or the storage hangs, or reading the model or an evaluation takes very long. ' +
      `See its last lines (${LOGS}), then "Longest waited for" on the strategy dashboard; deleting the pod that hangs restarts the job from its last checkpoint.`,
  },
  {
    name: 'SoapstoneJobNotStarting',
    signal: `count by (${JOB}) (${maxBy(`${JOB}, state`, 'soapstone_job_state', ALL, 'state=~"Starting|Restarting"')})`,
    wrong: '> 0',
    for: '30m',
    severity: 'warning',
    summary: `Job ${NAMED} has been starting for half an hour.`,
    description: `It has devices and a plan, but its pods do not come to run. The reason stands in PodsReady, with its cure: ${DESCRIBE}.`,
  },
  {
    name: 'SoapstoneJobKeepsRestarting',
    signal: `max by (${JOB}) (changes(soapstone_job_attempt[1h])) unless on (${JOB}) ${series('soapstone_job_state', ALL, 'state=~"Suspended|Complete|Failed"')}`,
    wrong: `> ${RESTARTS_AN_HOUR}`,
    for: '5m',
    severity: 'warning',
    summary: `Job ${NAMED} was restarted {{ $value }} times in an hour.`,
    description:
      'Its pods start, and fail or are taken away, again and again. Most of what ends an attempt does not count towards spec.backoffLimit, so that this goes on until somebody sees to it. ' +
      `Why stands in status.restarts: ${DESCRIBE}. spec.suspend: true frees its devices meanwhile.`,
  },
  {
    name: 'SoapstoneJobFailed',
    signal: `${FAILED} or on (${JOB}) 0 * ${maxBy(JOB, 'soapstone_job_state', ALL)}`,
    wrong: `== 1 unless on (${JOB}) ${series('soapstone_job_state', ALL, 'state="Failed"')} offset 1h`,
    for: '2m',
    severity: 'warning',
    summary: `Job ${NAMED} has failed.`,
    description:
      'It will not be tried again, and holds no devices any more; its checkpoints are kept. This is told for an hour. ' +
      `Why stands in Failed and in status.restarts: ${DESCRIBE}. Correct it, delete the job and apply it again: it goes on from its last checkpoint.`,
  },
  {
    name: 'SoapstoneStraggler',
    signal: stragglers(ALL),
    wrong: `> ${STRAGGLER_RATIO}`,
    for: '15m',
    severity: 'warning',
    summary: `Device {{ $labels.device }} of job ${NAMED} is {{ $value | printf "%.2f" }} times as slow as the others.`,
    description:
      'Held against its share of the work, it takes longer than the median device of the job. All others wait for it in every iteration. Its node stands in the table of devices on the strategy dashboard: look for a GPU that is hot or throttled, or for another process on it. Nothing is lost meanwhile but speed.',
  },
  {
    name: 'SoapstonePredictionOff',
    signal: `abs(${measuredOverPredicted(ALL)} - 1)`,
    wrong: `> ${PREDICTION_ERROR}`,
    for: '30m',
    severity: 'warning',
    summary: `An iteration of job ${NAMED} is {{ $value | humanizePercentage }} off its prediction.`,
    description:
      'The numbers that its plan rests on are not those of its devices or links; another plan may be faster by more than it seemed. ' +
      `The job trains on. Which device or link is to blame stands in PredictionAccurate: ${DESCRIBE}.`,
  },
  {
    name: 'SoapstoneThroughputDrop',
    signal: throughputShare({ filter: '' }, '10m', '3h'),
    wrong: `< ${THROUGHPUT_SHARE}`,
    for: '15m',
    severity: 'warning',
    summary: `Job ${NAMED} trains at {{ $value | humanizePercentage }} of its usual throughput.`,
    description:
      'Usual is the median of the last three hours of the same attempt. Something slows it down that did not before. See on the strategy dashboard whether Compute or Wait grew: compute on one device is a straggler, wait on all a link or the storage.',
  },
  {
    name: 'SoapstoneLinkSlow',
    // The worst way of a job alone: an adapter that is slow makes all ways through it slow.
    signal: `bottomk by (${JOB}) (1, ${linkRatio(ALL)})`,
    wrong: `< ${1 - LINK_ERROR}`,
    for: '5m',
    severity: 'warning',
    summary: `The link from device {{ $labels.device }} to {{ $labels.peer }} of job ${NAMED} carries {{ $value | humanizePercentage }} of what its labels say.`,
    description: `Measured before the first step; it is the slowest of the job against its plan. Repair the link, or correct the label that LinksAccurate names: plans trust it. See ${DESCRIBE}.`,
  },
  {
    name: 'SoapstoneLinkFast',
    signal: `topk by (${JOB}) (1, ${linkRatio(ALL)})`,
    wrong: `> ${1 + LINK_ERROR}`,
    for: '5m',
    severity: 'info',
    summary: `The link from device {{ $labels.device }} to {{ $labels.peer }} of job ${NAMED} carries {{ $value | humanizePercentage }} of what its labels say.`,
    description: `Measured before the first step; it is the fastest of the job against its plan. With the label that LinksAccurate names, plans could use it. See ${DESCRIBE}.`,
  },
  {
    name: 'SoapstoneControllerDown',
    // By release, and where none of its replicas answers, by the labels of the selector: the chart adds those of its release to it.
    signal: `sum by (${RELEASE}) (${LEADS} or absent(${LEADS}) - 1)`,
    wrong: '== 0',
    for: '5m',
    severity: 'critical',
    summary: `No Soapstone controller leads${INSTALLED}.`,
    description: `None answers, or none gets the lease. Jobs run on, but none starts, restarts or ends. See whether its pods are ready, and what they say: ${CONTROLLER_LOG}.`,
  },
  {
    name: 'SoapstoneControllerNotReconciling',
    signal: rateBy(RELEASE, 'controller_runtime_reconcile_total', CONTROLLER),
    wrong: `== 0 and on (${RELEASE}) ${WAITING(`min_over_time(${series('workqueue_depth', QUEUE)}[10m])`)} > 0`,
    for: '5m',
    severity: 'critical',
    summary: `The Soapstone controller${INSTALLED} visits no job, though some wait.`,
    description: `Jobs have waited in its queue for ten minutes and none was visited: none starts, restarts or ends. Keep its log (${CONTROLLER_LOG}) and restart its Deployment, which loses nothing.`,
  },
  {
    name: 'SoapstoneVisitHangs',
    signal: maxBy(PROCESS, 'workqueue_longest_running_processor_seconds', QUEUE),
    wrong: `> ${HUNG_VISIT_SECONDS}`,
    // Not long: the liveness probe restarts the controller after ten minutes, and nothing hangs any more.
    for: '1m',
    severity: 'critical',
    summary: `A visit of the Soapstone controller${IN_POD} hangs.`,
    description:
      'It has been under way for more than five minutes, though every request of a visit ends by itself within 15 seconds. The job that it is for is not looked after. The liveness probe restarts the pod after ten minutes; keep its log before, and report it.',
  },
  {
    name: 'SoapstoneWatchStale',
    signal: maxBy(PROCESS, 'soapstone_watch_stale_seconds', { filter: '' }),
    wrong: `> ${STALE_SECONDS}`,
    for: '5m',
    severity: 'critical',
    summary: `The Soapstone controller${IN_POD} has not heard of the cluster for {{ $value | humanizeDuration }}.`,
    description: `The API server does not answer its watches, or refuses them. Jobs run on; if it is the one that leads, what happens to their pods and nodes is not seen, and new jobs do not start. Its log says what is not answered: ${CONTROLLER_LOG}.`,
  },
  {
    name: 'SoapstoneNamespaceRefused',
    signal: maxBy(RELEASE, 'soapstone_namespace_refused', { filter: '' }),
    wrong: '== 1',
    for: '10m',
    severity: 'warning',
    // The namespace is the one that is refused: series of jobs say themselves what they are about.
    summary:
      'The Soapstone controller{{ with $labels.service }} (service {{ . }}){{ end }} may not read namespace {{ $labels.namespace }}.',
    description:
      'It is to be watched, and the API server refuses its jobs or pods: the namespace was deleted, or its Role. Jobs in it stand still; those of other namespaces do not. helm upgrade makes the Role again where the namespace is there; else take it out of watchNamespaces.',
  },
  {
    name: 'SoapstoneReconcileErrors',
    signal: `${rateBy(RELEASE, 'controller_runtime_reconcile_errors_total', CONTROLLER)} + ${rateBy(RELEASE, 'soapstone_apply_failures_total', REFUSED)}`,
    wrong: `> ${ERRORS_PER_SECOND}`,
    for: '15m',
    severity: 'warning',
    summary: `Visits of the Soapstone controller${INSTALLED} fail.`,
    description: `The API server refuses what it asks for, or does not answer. One job whose every visit fails is enough; the log of the controller names it, and says why: ${CONTROLLER_LOG}.`,
  },
  {
    name: 'SoapstoneQueueLong',
    signal: WAITING(series('workqueue_depth', QUEUE)),
    wrong: `> ${LONG_QUEUE}`,
    for: '15m',
    severity: 'warning',
    summary: `{{ $value }} TrainingJobs wait for a visit of the Soapstone controller${INSTALLED}.`,
    description:
      'There are more changes than it can look at, and what jobs need comes late. "Length of visits" on the controller dashboard says whether visits are slow (the API server) or many (nodes that change all the time); SOAPSTONE_CONCURRENT_VISITS in extraEnv allows more at once.',
  },
];

/** Where the runbook of an alert is. */
export function runbookOf({ name }: AlertSpec): string {
  return `docs/operations.md#${name.toLowerCase()}`;
}

/** The rule file that Prometheus reads. */
export function ruleFile(): object {
  const rules = ALERTS.map((alert) => ({
    alert: alert.name,
    expr: `(${alert.signal}) ${alert.wrong}`,
    for: alert.for,
    labels: { severity: alert.severity },
    annotations: { summary: alert.summary, description: alert.description, runbook: runbookOf(alert) },
  }));
  return { groups: [{ name: 'soapstone', rules }] };
}
