import type { Dashboard } from '@grafana/grafana-foundation-sdk/dashboard';
import {
  DashboardBuilder,
  DashboardCursorSync,
  DashboardLinkBuilder,
  DashboardLinkType,
  DatasourceVariableBuilder,
  QueryVariableBuilder,
  RowBuilder,
  VariableRefresh,
  VariableSort,
} from '@grafana/grafana-foundation-sdk/dashboard';
import type { RowSpec } from './panels.ts';
import { buildPanel, DATASOURCE } from './panels.ts';

/** By it dashboards find each other. */
const TAG = 'soapstone';

/** A variable at the top of a dashboard, whose values are those of a label. */
export interface VariableSpec {
  readonly name: string;
  readonly label: string;
  readonly description: string;
  /** Series whose label is taken, and the label. */
  readonly series: string;
  readonly of: string;
  /** Whether several may be chosen, or all. */
  readonly multiple: boolean;
}

/** A dashboard, before it is Grafana's JSON. */
export interface DashboardSpec {
  /** Part of its address; links use it. */
  readonly uid: string;
  readonly title: string;
  readonly description: string;
  readonly variables: readonly VariableSpec[];
  readonly rows: readonly RowSpec[];
}

/** Values of the namespace and job variables: of all jobs that the controller or a training process tells of. */
const JOB_SERIES = '{__name__=~"soapstone_job_state|soapstone_predicted_iteration_seconds"';

/** Empty where jobs train without a cluster; "All" matches those too. */
export const NAMESPACE_VARIABLE: VariableSpec = {
  name: 'namespace',
  label: 'Namespace',
  description: 'Namespaces of the jobs. All has those that train without a cluster too.',
  series: `${JOB_SERIES}}`,
  of: 'namespace',
  multiple: true,
};

/** The job, or jobs. */
export function jobVariable(multiple: boolean): VariableSpec {
  return {
    name: 'job',
    label: 'Job',
    description: multiple ? 'Names of the jobs.' : 'Name of the job.',
    series: `${JOB_SERIES}, namespace=~"$namespace"}`,
    of: 'job_name',
    multiple,
  };
}

/** The matchers that these variables make. */
export const JOB_FILTER = 'namespace=~"$namespace", job_name=~"$job"';

/** Builds the JSON model that Grafana imports. Ids are given in order, so that the same specification gives the same text. */
export function buildDashboard({ uid, title, description, variables, rows }: DashboardSpec): Dashboard {
  const dashboard = new DashboardBuilder(title)
    .uid(uid)
    .description(description)
    .tags([TAG])
    .editable()
    .tooltip(DashboardCursorSync.Crosshair)
    .time({ from: 'now-1h', to: 'now' })
    .refresh('30s')
    .link(
      new DashboardLinkBuilder('Soapstone')
        .type(DashboardLinkType.Dashboards)
        .tags([TAG])
        .asDropdown(false)
        .includeVars(true)
        .keepTime(true),
    )
    .withVariable(datasourceVariable());
  for (const variable of variables) dashboard.withVariable(queryVariable(variable));
  let id = 1;
  for (const row of rows) {
    dashboard.withRow(new RowBuilder(row.title).id(id++));
    for (const panel of row.panels) dashboard.withPanel(buildPanel(panel, id++));
  }
  const built = dashboard.build();
  // The SDK hides links in a menu; without a place they stand at the top.
  for (const link of built.links ?? []) delete link.placement;
  return built;
}

function datasourceVariable(): DatasourceVariableBuilder {
  return new DatasourceVariableBuilder('datasource')
    .label('Data source')
    .description('The Prometheus that scrapes the controller and the jobs.')
    .type('prometheus');
}

function queryVariable({ name, label, description, series, of, multiple }: VariableSpec): QueryVariableBuilder {
  const query = `label_values(${series}, ${of})`;
  const variable = new QueryVariableBuilder(name)
    .label(label)
    .description(description)
    .datasource(DATASOURCE)
    .query({ query, refId: name })
    .definition(query)
    .refresh(VariableRefresh.OnTimeRangeChanged)
    .sort(VariableSort.AlphabeticalAsc)
    .multi(multiple)
    .includeAll(multiple);
  return multiple ? variable.allValue('.*').current({ text: ['All'], value: ['$__all'] }) : variable;
}
