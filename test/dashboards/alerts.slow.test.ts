import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import test from 'ava';
import { stringify } from 'yaml';
import type { AlertSpec } from '../../monitoring/alerts.ts';
import { ALERTS, runbookOf } from '../../monitoring/alerts.ts';
import { LINK_ERROR } from '../../monitoring/promql/thresholds.ts';
import { linkVerdict } from '../../soap/measurement/verdict.ts';
import { HAS_PROMETHEUS, promtool } from './prometheus.ts';

const RULES = new URL('../../charts/soapstone/files/alerts.yaml', import.meta.url).pathname;

/** Series by name and labels, with their values a minute apart, in promtool's notation. */
type Series = Readonly<Record<string, string>>;

interface AlertCase {
  /** Something is wrong in each, from the first minute on. */
  readonly wrong: readonly Series[];
  /** Nearly wrong, or wrong for another reason: it must keep quiet. */
  readonly well: readonly Series[];
  /** When it must have fired. */
  readonly at: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly summary: string;
}

/** Series, and what promtool is to see of alerts then. */
interface RuleTest {
  readonly series: Series;
  readonly expected: readonly object[];
}

const JOB = 'namespace="n",job_name="j"';
const STATE = (state: string): string => `soapstone_job_state{${JOB},state="${state}"}`;
const STEP = `soapstone_step{${JOB},pod="j-0-0"}`;
const PREDICTED = (pod: string): string => `soapstone_predicted_iteration_seconds{${JOB},pod="${pod}"}`;
const ATTEMPT = (pod: string): string => `soapstone_job_attempt{${JOB},pod="${pod}"}`;
const LEADER = (pod: string, namespace: string = 's'): string =>
  `leader_election_master_status{name="soapstone",namespace="${namespace}",service="r-metrics",pod="${pod}"}`;
const RELEASE = { namespace: 's', service: 'r-metrics' };
const OF = (release: string, pod: string = 'a'): string => `namespace="s",service="${release}-metrics",pod="${pod}"`;
const RECONCILES = (release: string = 'r'): string =>
  `controller_runtime_reconcile_total{controller="trainingjob",${OF(release)},result="success"}`;
const THROUGHPUT = (instance: string): string => `soapstone_samples_per_second{${JOB},instance="${instance}"}`;
const ERRORS = (release: string = 'r'): string =>
  `controller_runtime_reconcile_errors_total{controller="trainingjob",${OF(release)}}`;
const UNAPPLIED = (reason: string, release: string = 'r'): string =>
  `soapstone_apply_failures_total{${OF(release)},reason="${reason}"}`;
const VISIT = (pod: string): string =>
  `workqueue_longest_running_processor_seconds{name="trainingjob",${OF('r', pod)}}`;
const DEPTH = (release: string = 'r', pod: string = 'a'): string =>
  `workqueue_depth{name="trainingjob",${OF(release, pod)}}`;
const LEADS = (release: string = 'r', pod: string = 'a'): string =>
  `leader_election_master_status{name="soapstone",${OF(release, pod)}}`;
const STALE = (pod: string): string => `soapstone_watch_stale_seconds{${OF('r', pod)}}`;
const JOB_LABELS = { namespace: 'n', job_name: 'j' };

/** What counts up once in so many minutes, for an hour. */
function countUp(everyMinutes: number): string {
  return Array.from({ length: 61 }, (_, minute) => Math.floor(minute / everyMinutes)).join(' ');
}

/** Devices of a job that compute so many seconds a minute in one iteration a second, of a second each by the plan. */
function devices(seconds: readonly number[], predicted: readonly number[] = seconds.map(() => 1)): Series {
  return Object.fromEntries(
    seconds.flatMap((each, device) => [
      [`soapstone_device_compute_seconds_total{${JOB},device="${device}"}`, `0+${60 * each}x60`],
      [`soapstone_iteration_seconds_count{${JOB},device="${device}"}`, '0+60x60'],
      [`soapstone_predicted_device_compute_seconds{${JOB},device="${device}"}`, `${predicted[device]}x60`],
    ]),
  );
}

/** A job whose iterations take so many seconds, by the plan one. */
function iterations(seconds: number): Series {
  return {
    [`soapstone_iteration_seconds_sum{${JOB},device="0"}`]: `0+${60 * seconds}x60`,
    [`soapstone_iteration_seconds_count{${JOB},device="0"}`]: '0+60x60',
    [`soapstone_predicted_iteration_seconds{${JOB}}`]: '1x60',
  };
}

/** Ways between devices of a job, planned at 10 GB/s each, that carry so many GB/s. */
function links(speeds: Readonly<Record<string, number>>): Series {
  return Object.fromEntries(
    Object.entries(speeds).flatMap(([way, speed]) => {
      const [device = '', peer = ''] = way.split(' ');
      const labels = `{${JOB},device="${device}",peer="${peer}"}`;
      return [
        [`soapstone_link_measured_bytes_per_second${labels}`, `${speed}e9x60`],
        [`soapstone_link_planned_bytes_per_second${labels}`, '10e9x60'],
      ];
    }),
  );
}

const CASES: Readonly<Record<string, AlertCase>> = {
  SoapstoneJobStuck: {
    wrong: [
      { [STATE('Running')]: '1x60', [STEP]: '41x60', [PREDICTED('j-0-0')]: '2x60' },
      // Hangs before it trains: no device is ready yet.
      { [STATE('Running')]: '1x60', [PREDICTED('j-0-0')]: '2x60', [PREDICTED('j-0-1')]: '2x60' },
    ],
    well: [
      { [STATE('Running')]: '1x60', [STEP]: '0+1x60', [PREDICTED('j-0-0')]: '2x60', [PREDICTED('j-0-1')]: '2x60' },
      { [STATE('Suspended')]: '1x60', [STEP]: '41x60' },
      { [STATE('Starting')]: '1x60', [PREDICTED('j-0-0')]: '2x60' },
      // Nobody scrapes its pods.
      { [STATE('Running')]: '1x60' },
      // A restart from a checkpoint makes no progress at first, but steps.
      { [STATE('Running')]: '1x60', [STEP]: '40 41 42 43 44 40 41 42 43 44 40 41 42 43 44 40 41 42 43 44 40+1x40' },
    ],
    at: '40m',
    labels: { ...JOB_LABELS, severity: 'critical' },
    summary: 'Job n/j runs and makes no step.',
  },
  SoapstoneJobNotStarting: {
    // Flaps between the two, which starts the waiting anew for neither.
    wrong: [{ [STATE('Starting')]: '1 1 _ _ 1 1 _ _ 1x60', [STATE('Restarting')]: '_ _ 1 1 _ _ 1 1 _' }],
    well: [{ [STATE('Starting')]: '1x20', [STATE('Running')]: '_x20 1x40' }, { [STATE('WaitingForDevices')]: '1x60' }],
    at: '40m',
    labels: { ...JOB_LABELS, severity: 'warning' },
    summary: 'Job n/j has been starting for half an hour.',
  },
  SoapstoneJobKeepsRestarting: {
    // It runs between its failures, and a second controller was started lately.
    wrong: [{ [ATTEMPT('a')]: countUp(5), [ATTEMPT('b')]: '_x50 10x5', [STATE('Running')]: '1x60' }],
    well: [
      { [ATTEMPT('a')]: countUp(11), [STATE('Running')]: '1x60' },
      { [ATTEMPT('a')]: countUp(5), [STATE('Running')]: '1x50', [STATE('Complete')]: '_x50 1x10' },
    ],
    at: '55m',
    labels: { ...JOB_LABELS, severity: 'warning' },
    summary: 'Job n/j was restarted 11 times in an hour.',
  },
  SoapstoneJobFailed: {
    wrong: [{ [STATE('Running')]: '1x70', [STATE('Failed')]: '_x71 1x30' }],
    well: [
      { [STATE('Complete')]: '1x100' },
      // Nobody has deleted it since.
      { [STATE('Failed')]: '1x100' },
    ],
    at: '80m',
    labels: { ...JOB_LABELS, severity: 'warning' },
    summary: 'Job n/j has failed.',
  },
  SoapstoneStraggler: {
    wrong: [devices([1, 1, 1, 1.5])],
    well: [
      devices([1, 1, 1, 1.2]),
      // Slower than the plan said, all of them.
      devices([3, 3, 3, 3]),
      // More work, and as much longer.
      devices([1, 1, 1, 2], [1, 1, 1, 2]),
      // No work at all in the plan of one.
      devices([1, 1, 1, 0], [1, 1, 1, 0]),
    ],
    at: '40m',
    labels: { ...JOB_LABELS, device: '3', severity: 'warning' },
    summary: 'Device 3 of job n/j is 1.50 times as slow as the others.',
  },
  SoapstonePredictionOff: {
    wrong: [iterations(1.5)],
    well: [iterations(1.2), iterations(0.8)],
    at: '50m',
    labels: { ...JOB_LABELS, severity: 'warning' },
    summary: 'An iteration of job n/j is 50% off its prediction.',
  },
  SoapstoneThroughputDrop: {
    wrong: [
      { [THROUGHPUT('a')]: '100x120 50x40' },
      { [THROUGHPUT('a')]: '100x20', [THROUGHPUT('b')]: '_x25 40x95 20x40' },
    ],
    well: [
      { [THROUGHPUT('a')]: '100x120 80x40' },
      { [THROUGHPUT('a')]: '50x160' },
      // Another job of the name with a larger model, or an attempt with fewer devices.
      { [THROUGHPUT('a')]: '100x120', [THROUGHPUT('b')]: '_x125 50x35' },
    ],
    at: '155m',
    labels: { ...JOB_LABELS, severity: 'warning' },
    summary: 'Job n/j trains at 50% of its usual throughput.',
  },
  SoapstoneLinkSlow: {
    wrong: [links({ '0 1': 4, '1 0': 10, '0 2': 7, '2 0': 30 })],
    well: [links({ '0 1': 8.1, '1 0': 30 })],
    at: '15m',
    labels: { ...JOB_LABELS, device: '0', peer: '1', severity: 'warning' },
    summary: 'The link from device 0 to 1 of job n/j carries 40% of what its labels say.',
  },
  SoapstoneLinkFast: {
    wrong: [links({ '0 1': 4, '1 0': 15, '0 2': 13, '2 0': 10 })],
    well: [links({ '0 1': 11.9, '1 0': 1 })],
    at: '15m',
    labels: { ...JOB_LABELS, device: '1', peer: '0', severity: 'info' },
    summary: 'The link from device 1 to 0 of job n/j carries 150% of what its labels say.',
  },
  SoapstoneControllerDown: {
    wrong: [
      { [LEADER('a')]: '1x5 0x20', [LEADER('b')]: '0x25' },
      { [LEADER('a')]: '1x5 0x20', [LEADER('b', 'of-another')]: '1x25' },
    ],
    well: [{ [LEADER('a')]: '0x25', [LEADER('b')]: '1x25', [LEADER('c', 'of-another')]: '1x25' }],
    at: '15m',
    labels: { ...RELEASE, severity: 'critical' },
    summary: 'No Soapstone controller leads in namespace s (service r-metrics).',
  },
  SoapstoneControllerNotReconciling: {
    wrong: [
      { [RECONCILES()]: '7x40', [DEPTH()]: '3x40', [LEADS()]: '1x40' },
      // Another installation in the namespace is well.
      {
        [RECONCILES()]: '7x40',
        [DEPTH()]: '3x40',
        [LEADS()]: '1x40',
        [RECONCILES('other')]: '0+1x40',
        [DEPTH('other')]: '0x40',
        [LEADS('other')]: '1x40',
      },
    ],
    well: [
      { [RECONCILES()]: '7x40', [DEPTH()]: '0x40', [LEADS()]: '1x40' },
      { [RECONCILES()]: '0+1x40', [DEPTH()]: '3x40', [LEADS()]: '1x40' },
      // The queue of a standby that cannot read the cluster is held; the leader has nothing to do.
      {
        [RECONCILES()]: '7x40',
        [DEPTH()]: '0x40',
        [LEADS()]: '1x40',
        [DEPTH('r', 'b')]: '3x40',
        [LEADS('r', 'b')]: '0x40',
      },
    ],
    at: '30m',
    labels: { ...RELEASE, severity: 'critical' },
    summary: 'The Soapstone controller in namespace s (service r-metrics) visits no job, though some wait.',
  },
  SoapstoneVisitHangs: {
    // Until the liveness probe restarts the controller.
    wrong: [{ [VISIT('a')]: '0+60x11 0x28', [VISIT('b')]: '0x40' }],
    well: [{ [VISIT('a')]: '20x40' }, { [VISIT('a')]: '0+60x5 0x34' }],
    at: '8m',
    labels: { ...RELEASE, pod: 'a', severity: 'critical' },
    summary: 'A visit of the Soapstone controller in pod a of namespace s hangs.',
  },
  SoapstoneWatchStale: {
    wrong: [
      {
        [STALE('a')]: '0x3 0+60x40',
        [STALE('b')]: '0x40',
      },
    ],
    well: [
      { [STALE('a')]: '50x40' },
      // Mended before long, again and again.
      {
        [STALE('a')]: '0 60 120 180 0 60 120 180 0 60 120 180 0 60 120 180 0x20',
      },
    ],
    at: '14m',
    labels: { ...RELEASE, pod: 'a', severity: 'critical' },
    summary: 'The Soapstone controller in pod a of namespace s has not heard of the cluster for 10m 0s.',
  },
  SoapstoneNamespaceRefused: {
    wrong: [{ 'soapstone_namespace_refused{namespace="team-b",service="r-metrics",pod="a"}': '1x30' }],
    // Its Role comes a little later than the namespace, or an API server that starts refuses for a moment.
    well: [{ 'soapstone_namespace_refused{namespace="team-b",pod="a"}': '1x8 0x21' }],
    at: '15m',
    labels: { namespace: 'team-b', service: 'r-metrics', severity: 'warning' },
    summary: 'The Soapstone controller (service r-metrics) may not read namespace team-b.',
  },
  SoapstoneReconcileErrors: {
    wrong: [
      // One job, whose failed visits are repeated once a minute.
      { [ERRORS()]: '0+1x60', [UNAPPLIED('CreationForbidden')]: '0x60' },
      { [ERRORS()]: '0x60', [UNAPPLIED('CreationForbidden')]: '0+12x60' },
      // Another installation in the namespace is well.
      {
        [ERRORS()]: '0+1x60',
        [UNAPPLIED('CreationForbidden')]: '0x60',
        [ERRORS('other')]: '0x60',
        [UNAPPLIED('CreationForbidden', 'other')]: '0x60',
      },
    ],
    well: [
      { [ERRORS()]: countUp(5), [UNAPPLIED('CreationForbidden')]: countUp(5) },
      { [ERRORS()]: '0x60', [UNAPPLIED('CreationForbidden')]: '0x60', [UNAPPLIED('QuotaExceeded')]: '0+12x60' },
      {
        [`controller_runtime_reconcile_errors_total{controller="another",${OF('r')}}`]: '0+12x60',
        [UNAPPLIED('CreationForbidden')]: '0x60',
      },
    ],
    at: '40m',
    labels: { ...RELEASE, severity: 'warning' },
    summary: 'Visits of the Soapstone controller in namespace s (service r-metrics) fail.',
  },
  SoapstoneQueueLong: {
    wrong: [{ [DEPTH()]: '150x40', [LEADS()]: '1x40' }],
    well: [
      { [DEPTH()]: '90x40', [LEADS()]: '1x40' },
      { [DEPTH()]: '0x40', [LEADS()]: '1x40', [DEPTH('r', 'b')]: '150x40', [LEADS('r', 'b')]: '0x40' },
    ],
    at: '30m',
    labels: { ...RELEASE, severity: 'warning' },
    summary: '150 TrainingJobs wait for a visit of the Soapstone controller in namespace s (service r-metrics).',
  },
};

const inputs = (series: Series): object[] => Object.entries(series).map(([name, values]) => ({ series: name, values }));

const run = HAS_PROMETHEUS ? test : test.skip;

test('every alert has a case', (t) => {
  t.deepEqual(
    Object.keys(CASES),
    ALERTS.map(({ name }) => name),
  );
});

/** Holds rules against series with promtool. @param rules their text */
async function hold(t: ExecutionContext, rules: string, tests: readonly RuleTest[]): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-alerts-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, 'rules.yaml'), rules);
  const file = {
    rule_files: ['rules.yaml'],
    evaluation_interval: '1m',
    tests: tests.map(({ series, expected }) => ({
      interval: '1m',
      input_series: inputs(series),
      alert_rule_test: expected,
    })),
  };
  await writeFile(join(folder, 'test.yaml'), stringify(file));
  t.regex(await promtool('test', 'rules', join(folder, 'test.yaml')), /SUCCESS/);
}

/** What promtool is to see of an alert at a time. */
const quiet = ({ name: alertname }: AlertSpec, eval_time: string): object => ({
  alertname,
  eval_time,
  exp_alerts: [],
});
const fires = (alert: AlertSpec, eval_time: string, exp_labels: AlertCase['labels'], summary: string): object => {
  const exp_annotations = {
    summary,
    description: filledIn(alert.description, exp_labels),
    runbook: runbookOf(alert),
  };
  return { ...quiet(alert, eval_time), exp_alerts: [{ exp_labels, exp_annotations }] };
};

/** What Prometheus makes of a text: labels in their places, and of a choice the part that holds. */
function filledIn(text: string, labels: AlertCase['labels']): string {
  return text
    .replaceAll(/\{\{ with \$labels\.(\w+) \}\}(.*?)(?:\{\{ else \}\}(.*?))?\{\{ end \}\}/g, (...found: string[]) => {
      const [, label = '', there = '', missing = ''] = found;
      return labels[label] === undefined ? missing : there.replaceAll('{{ . }}', labels[label]);
    })
    .replaceAll(/\{\{ \$labels\.(\w+) \}\}/g, (_, label: string) => labels[label] ?? '');
}

for (const alert of ALERTS) {
  run(`${alert.name} fires when something is wrong, and only then`, async (t) => {
    const { wrong, well, at, labels, summary } = CASES[alert.name]!;
    await hold(t, await readFile(RULES, 'utf8'), [
      ...wrong.map((series) => ({ series, expected: [fires(alert, at, labels, summary), quiet(alert, '1m')] })),
      ...well.map((series) => ({ series, expected: [quiet(alert, at)] })),
    ]);
  });
}

run('a controller of which no replica answers is down, by the rule of its release whatever another does', async (t) => {
  const down = ALERTS.find(({ name }) => name === 'SoapstoneControllerDown')!;
  const { at, labels, summary } = CASES[down.name]!;
  const rules = await readFile(RULES, 'utf8');
  await hold(t, rules, [
    {
      series: { up: '1x25' },
      expected: [fires(down, at, { severity: down.severity }, 'No Soapstone controller leads.'), quiet(down, '1m')],
    },
  ]);
  // As the template of the chart does it.
  const leader = 'leader_election_master_status{name="soapstone"';
  const bound = rules.replaceAll(leader, `${leader}, namespace="${RELEASE.namespace}", service="${RELEASE.service}"`);
  await hold(t, bound, [
    { series: { [LEADER('a', 'of-another')]: '1x25' }, expected: [fires(down, at, labels, summary)] },
    { series: { [LEADER('a')]: '1x25', [LEADER('b', 'of-another')]: '0x25' }, expected: [quiet(down, at)] },
  ]);
});

test('alerts and conditions agree on which links are off', (t) => {
  t.is(linkVerdict(1 - LINK_ERROR - 1e-6, 1), 'slower');
  t.is(linkVerdict(1 + LINK_ERROR + 1e-6, 1), 'faster');
  for (const error of [-LINK_ERROR, LINK_ERROR]) t.is(linkVerdict(1 + 0.999 * error, 1), undefined);
});

run('promtool has nothing against the rules', async (t) => {
  t.regex(await promtool('check', 'rules', RULES), new RegExp(`SUCCESS: ${ALERTS.length} rules found`));
});
