import { PREDICTION_ERROR, RESTARTS_AN_HOUR } from '../promql/thresholds.ts';
import {
  JOB,
  maxBy,
  measuredIteration,
  measuredOverPredicted,
  predictedIteration,
  rateBy,
  series,
} from '../promql/queries.ts';
import type { DashboardSpec } from './dashboard.ts';
import { JOB_FILTER, jobVariable, NAMESPACE_VARIABLE } from './dashboard.ts';
import type { PanelSpec, RowSpec } from './panels.ts';
import { mergedColumns } from './table-columns.ts';

const SCOPE = { filter: JOB_FILTER, window: '$__rate_interval' };
const LEGEND = '{{namespace}}/{{job_name}}';

const step = maxBy(JOB, 'soapstone_step', SCOPE);
const target = maxBy(JOB, 'soapstone_steps', SCOPE);
const throughput = maxBy(JOB, 'soapstone_samples_per_second', SCOPE);
const attempts = maxBy(JOB, 'soapstone_job_attempt', SCOPE);
const running = maxBy(JOB, 'soapstone_job_state', SCOPE, 'state="Running"');

const stat = (title: string, description: string, expr: string, unit: string): PanelSpec => ({
  kind: 'stat',
  title,
  description,
  queries: [{ expr }],
  unit,
});

/** Lines of one query, one for each job. */
const byJob = (title: string, description: string, expr: string, unit: string): PanelSpec => ({
  kind: 'lines',
  title,
  description,
  queries: [{ expr, legend: LEGEND }],
  unit,
});

const NOW: RowSpec = {
  title: 'Now',
  panels: [
    stat('Jobs that run', 'Jobs whose pods all run.', `sum(${running}) or vector(0)`, 'short'),
    stat(
      'Devices in use',
      'Devices of jobs that start or run.',
      `sum(${maxBy(JOB, 'soapstone_job_devices', SCOPE)} and on (${JOB}) ${series('soapstone_job_state', SCOPE, 'state=~"Starting|Running"')}) or vector(0)`,
      'short',
    ),
    stat(
      'Throughput of all',
      'Samples that all jobs together train in a second.',
      `sum(${throughput})`,
      'suffix: samples/s',
    ),
    stat('Restarts of all', 'Attempts of all jobs beyond their first.', `sum(${attempts})`, 'short'),
    {
      kind: 'table',
      title: 'Jobs',
      description:
        'Every job with its state, how far it is, how fast it trains, and whether it takes as long as its plan said. A name leads to how the job is split.',
      queries: [
        { expr: maxBy(`${JOB}, state`, 'soapstone_job_state', SCOPE) },
        { expr: maxBy(JOB, 'soapstone_job_devices', SCOPE) },
        { expr: `${step} / ${target}` },
        { expr: maxBy(JOB, 'soapstone_loss', SCOPE) },
        { expr: throughput },
        { expr: predictedIteration(SCOPE) },
        { expr: measuredIteration(SCOPE) },
        { expr: attempts },
      ],
      unit: 'short',
      transformations: mergedColumns(
        {
          namespace: 'Namespace',
          job_name: 'Job',
          state: 'State',
          'Value #B': 'Devices',
          'Value #C': 'Progress',
          'Value #D': 'Loss',
          'Value #E': 'Samples/s',
          'Value #F': 'Predicted',
          'Value #G': 'Measured',
          'Value #H': 'Restarts',
        },
        ['Value #A'],
      ),
      columnUnits: { Progress: 'percentunit', Predicted: 's', Measured: 's' },
      columnLinks: {
        Job: {
          title: 'How it is split',
          url: '/d/soapstone-strategy?var-datasource=${datasource}&var-namespace=${__data.fields.Namespace}&var-job=${__value.text}&${__url_time_range}',
        },
      },
    },
  ],
};

const TRAINING: RowSpec = {
  title: 'Training',
  panels: [
    byJob('Throughput', 'Samples trained in a second, smoothed over recent steps.', throughput, 'suffix: samples/s'),
    byJob('Loss', 'Mean loss of the last step.', maxBy(JOB, 'soapstone_loss', SCOPE), 'short'),
    {
      ...byJob('Progress', 'Share of the steps that are done.', `${step} / ${target}`, 'percentunit'),
      kind: 'lines',
      max: 1,
    },
    byJob(
      'Time to go',
      'Steps that are left, each as long as those of late. Evaluations and checkpoints are not in it.',
      `(${target} - ${step}) * ${measuredIteration(SCOPE)}`,
      's',
    ),
    byJob(
      'Accuracy',
      'Share of right answers in the last evaluation, of jobs that are evaluated.',
      maxBy(JOB, 'soapstone_evaluation_accuracy_ratio', SCOPE),
      'percentunit',
    ),
    byJob(
      'Steps since the last checkpoint',
      'What a crash would lose now. It grows and falls back to 0 at each checkpoint; a line that only grows means that none is written.',
      `${step} - ${maxBy(JOB, 'soapstone_checkpoint_step', SCOPE)}`,
      'short',
    ),
    byJob(
      'Length of checkpoints',
      'How long writing the newest checkpoint took; all devices stand still meanwhile.',
      maxBy(JOB, 'soapstone_checkpoint_seconds', SCOPE),
      's',
    ),
    byJob(
      'Start of the attempt',
      'From the start of the worker to the end of its first step: what each restart costs beside the steps that are lost.',
      maxBy(JOB, 'soapstone_startup_seconds', SCOPE),
      's',
    ),
  ],
};

const PREDICTION: RowSpec = {
  title: 'Predicted against measured',
  panels: [
    {
      kind: 'lines',
      title: 'Iteration time',
      description:
        'What an iteration takes, on the slowest device of the job, and what the plan said it would. Where they part, the strategy dashboard tells which device or link is to blame.',
      queries: [
        { expr: measuredIteration(SCOPE), legend: `${LEGEND} measured` },
        { expr: predictedIteration(SCOPE), legend: `${LEGEND} predicted` },
      ],
      unit: 's',
    },
    {
      ...byJob(
        'Measured over predicted',
        `100 % where the plan's prediction is right. The alert SoapstonePredictionOff fires where it is off by more than ${100 * PREDICTION_ERROR} %.`,
        measuredOverPredicted(SCOPE),
        'percentunit',
      ),
      redFrom: 1 + PREDICTION_ERROR,
    },
    {
      kind: 'lines',
      title: 'Spread of iteration times',
      description: 'Half, and 95 of 100 iterations take at most so long, over all devices of a job.',
      queries: [0.5, 0.95].map((quantile) => ({
        expr: `histogram_quantile(${quantile}, ${rateBy(`${JOB}, le`, 'soapstone_iteration_seconds_bucket', SCOPE)})`,
        legend: `${LEGEND} p${100 * quantile}`,
      })),
      unit: 's',
      width: 24,
    },
  ],
};

const LIFE: RowSpec = {
  title: 'Life of jobs',
  panels: [
    {
      kind: 'lines',
      title: 'Jobs by state',
      description: 'How many of the chosen jobs are in each state.',
      queries: [
        {
          expr: `count by (state) (${maxBy(`${JOB}, state`, 'soapstone_job_state', SCOPE)})`,
          legend: '{{state}}',
        },
      ],
      unit: 'short',
      stacked: true,
    },
    byJob('Devices', 'Devices of each job.', maxBy(JOB, 'soapstone_job_devices', SCOPE), 'short'),
    byJob(
      'Restarts',
      `The attempt that each job is at, counted from 0. The alert SoapstoneJobKeepsRestarting fires where it rises by more than ${RESTARTS_AN_HOUR} in an hour.`,
      attempts,
      'short',
    ),
    {
      kind: 'lines',
      title: 'Failed attempts by reason',
      description:
        'Why attempts ended without success. Only Crashed and OutOfMemory count towards spec.backoffLimit; docs/operations.md has a cure for each.',
      queries: [
        {
          expr: maxBy(`${JOB}, reason`, 'soapstone_job_failures', SCOPE),
          legend: `${LEGEND} {{reason}}`,
        },
      ],
      unit: 'short',
    },
  ],
};

/** What jobs do, how fast, and whether it is what was predicted. */
export const JOBS: DashboardSpec = {
  uid: 'soapstone-jobs',
  title: 'Soapstone / Jobs',
  description: 'What jobs do, how fast they train, and whether they take as long as their plans said.',
  variables: [NAMESPACE_VARIABLE, jobVariable(true)],
  rows: [NOW, TRAINING, PREDICTION, LIFE],
};
