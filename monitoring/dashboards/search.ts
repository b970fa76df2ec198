import { JOB, maxBy, quotient, rateBy, series } from '../promql/queries.ts';
import type { DashboardSpec } from './dashboard.ts';
import { JOB_FILTER, jobVariable, NAMESPACE_VARIABLE } from './dashboard.ts';
import type { RowSpec } from './panels.ts';
import { matrix } from './table-columns.ts';

const SCOPE = { filter: JOB_FILTER, window: '$__rate_interval' };
const ALL = { filter: '', window: '$__rate_interval' };
const LEGEND = '{{namespace}}/{{job_name}}';

const best = `min by (${JOB}) (${series('soapstone_job_search_best_iteration_seconds', SCOPE)})`;
const proposals = maxBy(JOB, 'soapstone_job_search_proposals_total', SCOPE);
const accepted = maxBy(JOB, 'soapstone_job_search_accepted_total', SCOPE);
/** A row is told apart by one label, so that the namespace goes into it: two may have a job of the same name. */
const baselines = `label_join(min by (${JOB}, strategy) (${series('soapstone_job_baseline_iteration_seconds', SCOPE)}), "job_name", "/", "namespace", "job_name")`;
const baseline = (strategy: string): string =>
  `min by (${JOB}) (${series('soapstone_job_baseline_iteration_seconds', SCOPE, `strategy="${strategy}"`)})`;

const NOW: RowSpec = {
  title: 'Now',
  panels: [
    {
      kind: 'stat',
      title: 'Searches that run',
      description: 'Searches under way, of all jobs.',
      queries: [{ expr: 'sum(soapstone_searches_running)' }],
      unit: 'short',
    },
    {
      kind: 'stat',
      title: 'Searches that wait',
      description: 'Searches that wait for a thread; config.concurrentSearches of the chart allows more at once.',
      queries: [{ expr: 'sum(soapstone_searches_waiting)' }],
      unit: 'short',
      redFrom: 10,
    },
    {
      kind: 'stat',
      title: 'Proposals of all',
      description: 'Proposals that all searches try in a second.',
      queries: [{ expr: `sum(rate(soapstone_search_proposals_total[$__rate_interval]))` }],
      unit: 'suffix: /s',
    },
    {
      kind: 'stat',
      title: 'Searches that failed',
      description:
        'Searches that found no plan in the time shown, and plans given by jobs that were refused; the status of their jobs says why.',
      queries: [{ expr: 'sum(increase(soapstone_searches_total{result="failed"}[$__range]))' }],
      unit: 'short',
      decimals: 0,
      redFrom: 1,
    },
  ],
};

const BY_JOB: RowSpec = {
  title: 'By job',
  panels: [
    {
      kind: 'lines',
      title: 'Best cost over time',
      description:
        'Predicted time of an iteration of the best strategy so far. A line that still falls when the search ends asks for more seconds; one that is flat from the start for fewer.',
      queries: [{ expr: best, legend: LEGEND }],
      unit: 's',
    },
    {
      kind: 'lines',
      title: 'Proposals',
      description: 'Proposals that the search of a job tries in a second.',
      queries: [{ expr: rateBy(JOB, 'soapstone_job_search_proposals_total', SCOPE), legend: LEGEND }],
      unit: 'suffix: /s',
    },
    {
      kind: 'lines',
      title: 'Acceptance',
      description:
        'Share of the proposals that are accepted. Near 0 the chains stand still (search.beta is high for the model), near 1 they wander (it is low).',
      queries: [
        {
          expr: quotient(
            rateBy(JOB, 'soapstone_job_search_accepted_total', SCOPE),
            rateBy(JOB, 'soapstone_job_search_proposals_total', SCOPE),
          ),
          legend: LEGEND,
        },
      ],
      unit: 'percentunit',
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Acceptance of the whole search',
      description: 'The same over the whole last search of a job.',
      queries: [{ expr: quotient(accepted, proposals), legend: LEGEND }],
      unit: 'percentunit',
      max: 1,
    },
    {
      kind: 'lines',
      title: 'Times as fast as data parallelism',
      description: 'Predicted time of an iteration by data parallelism, over that of the best strategy.',
      queries: [{ expr: quotient(baseline('data'), best), legend: LEGEND }],
      unit: 'short',
    },
    {
      kind: 'table',
      title: 'Baselines',
      description: 'Predicted time of an iteration of the strategies that each plan is compared with.',
      queries: [{ expr: baselines }],
      unit: 's',
      width: 12,
      height: 8,
      transformations: matrix('job_name', 'strategy'),
    },
  ],
};

const ALL_SEARCHES: RowSpec = {
  title: 'All searches',
  panels: [
    {
      kind: 'lines',
      title: 'Length of searches',
      description: 'Half, and 95 of 100 searches take at most so long once their files are read.',
      queries: [0.5, 0.95].map((quantile) => ({
        expr: `histogram_quantile(${quantile}, ${rateBy('le', 'soapstone_search_seconds_bucket', ALL)})`,
        legend: `p${100 * quantile}`,
      })),
      unit: 's',
    },
    {
      kind: 'lines',
      title: 'Searches that ended',
      description:
        'Searches, and checks of plans that jobs give, that ended in a minute, by result. Looks for a model that is not there yet are none.',
      queries: [{ expr: `60 * ${rateBy('result', 'soapstone_searches_total', ALL)}`, legend: '{{result}}' }],
      unit: 'suffix: /min',
      stacked: true,
    },
  ],
};

/** How searches go. */
export const SEARCH: DashboardSpec = {
  uid: 'soapstone-search',
  title: 'Soapstone / Search',
  description: 'How the searches of the controller go: what they have found, how fast, and against what.',
  variables: [NAMESPACE_VARIABLE, jobVariable(true)],
  rows: [NOW, BY_JOB, ALL_SEARCHES],
};
