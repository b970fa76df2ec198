import { readdir, readFile } from 'node:fs/promises';
import type { Dashboard, Panel, RowPanel } from '@grafana/grafana-foundation-sdk/dashboard';
import test from 'ava';
import { buildDashboard } from '../../monitoring/dashboards/dashboard.ts';
import { DASHBOARDS } from '../../monitoring/dashboards/index.ts';
import { ALERTS, runbookOf } from '../../monitoring/alerts.ts';
import { generatedFiles } from '../../monitoring/generated.ts';
import { queriesOf } from './queries-of.ts';
import { metricsIn } from './questions.ts';

const CHART = new URL('../../charts/soapstone/', import.meta.url);

/** The last one of this model. Source: Grafana, public/app/features/dashboard/state/DashboardMigrator.ts, DASHBOARD_SCHEMA_VERSION. */
const SCHEMA_VERSION = 42;

/** Variables that Grafana itself sets. */
const BUILT_IN = new Set(['__rate_interval', '__range', '__all', '__value', '__data', '__url_time_range']);

const built = DASHBOARDS.map((spec) => buildDashboard(spec));

function isPanel(panel: Panel | RowPanel): panel is Panel {
  return panel.type !== 'row';
}

const panelsOf = ({ panels = [] }: Dashboard): Panel[] => panels.filter(isPanel);

/** Names of variables in a text, written `$x` or `${x}`. */
const variablesIn = (text: string): string[] =>
  [...text.matchAll(/\$(?:\{(\w+)[^}]*\}|(\w+))/g)].map(([, braced, plain]) => braced ?? plain ?? '');

test('the files of the chart are those that npm run generate writes, and there are no others', async (t) => {
  const files = generatedFiles();
  for (const [path, text] of files) t.is(await readFile(new URL(path, CHART), 'utf8'), text, path);
  const names = (await readdir(new URL('dashboards/', CHART))).map((name) => `dashboards/${name}`);
  const expected = [...files.keys()].filter((path) => path.startsWith('dashboards/'));
  t.deepEqual(names.toSorted(), expected.toSorted());
});

test('dashboards have addresses of their own, and the current schema', (t) => {
  t.is(new Set(built.map(({ uid }) => uid)).size, built.length);
  for (const { uid = '', title, tags, schemaVersion, time, links, description } of built) {
    t.regex(uid, /^[a-z0-9-]{8,40}$/);
    t.is(schemaVersion, SCHEMA_VERSION);
    t.deepEqual([tags, time?.to, links?.[0]?.tags], [['soapstone'], 'now', ['soapstone']], title);
    t.true((description ?? '').length > 20, title);
  }
});

for (const dashboard of built) {
  const title = dashboard.title ?? '';
  const panels = dashboard.panels ?? [];

  test(`${title}: panels have ids of their own, lie on the grid and nowhere over each other`, (t) => {
    t.is(new Set(panels.map(({ id }) => id)).size, panels.length);
    const taken = new Map<string, string>();
    for (const panel of panels) {
      const { x = 0, y = 0, w = 0, h = 0 } = panel.gridPos ?? {};
      t.true(w > 0 && h > 0 && x >= 0 && x + w <= 24, panel.title);
      for (let row = y; row < y + h; row++)
        for (let column = x; column < x + w; column++) {
          t.is(taken.get(`${row} ${column}`), undefined, `${panel.title} lies over ${taken.get(`${row} ${column}`)}`);
          taken.set(`${row} ${column}`, panel.title ?? '');
        }
    }
    const titles = panelsOf(dashboard).map((panel) => panel.title);
    t.is(new Set(titles).size, titles.length, 'titles tell panels apart');
  });

  test(`${title}: every panel says what it shows, in which unit, and reads from the chosen data source`, (t) => {
    for (const panel of panelsOf(dashboard)) {
      t.regex(panel.description ?? '', /^[A-Z1-9].{15,}\.$/s, panel.title);
      t.truthy(panel.fieldConfig?.defaults.unit, panel.title);
      t.deepEqual(panel.datasource, { type: 'prometheus', uid: '${datasource}' }, panel.title);
      const ids = queriesOf(panel).map(({ refId }) => refId);
      t.true(ids.length > 0 && new Set(ids).size === ids.length, panel.title);
    }
  });

  test(`${title}: a share is described as it is shown, in percent`, (t) => {
    const shares = panelsOf(dashboard).filter((each) => each.fieldConfig?.defaults.unit === 'percentunit');
    const bare = shares.filter(({ description = '' }) => /(?:^|Above |Below )[01](?:\.\d+)? /.test(description));
    t.deepEqual(
      bare.map((panel) => panel.title),
      [],
    );
  });

  test(`${title}: every variable is used, and every one that is used is there`, (t) => {
    const variables = dashboard.templating?.list ?? [];
    const text = JSON.stringify([panels, variables.map(({ query, datasource }) => [query, datasource])]);
    const used = new Set(variablesIn(text));
    for (const { name } of variables) t.true(used.has(name), `$${name} is of no use`);
    const known = new Set(variables.map(({ name }) => name));
    for (const name of used) t.true(known.has(name) || BUILT_IN.has(name), `there is no $${name}`);
  });
}

test('tables tell jobs of one name in two namespaces apart', (t) => {
  const tables = built.flatMap(panelsOf).filter(({ type }) => type === 'table');
  t.true(tables.length > 4);
  for (const table of tables)
    for (const { expr } of queriesOf(table)) {
      const labels = [...expr.matchAll(/ by \(([^)]*)\)/g)].map(([, each]) => each);
      t.true(labels.length > 0 && labels.every((each) => each?.startsWith('namespace, ')), `${table.title}: ${expr}`);
    }
});

test('links lead to dashboards that are there, and set variables that these have', (t) => {
  const links = [...JSON.stringify(built).matchAll(/"\/d\/([\w-]+)\?([^"]*)"/g)];
  t.true(links.length > 0);
  for (const [, uid, query = ''] of links) {
    const target = built.find((each) => each.uid === uid);
    t.truthy(target, uid);
    const known = new Set(target?.templating?.list?.map(({ name }) => name));
    for (const [, name = ''] of query.matchAll(/var-(\w+)=/g)) t.true(known.has(name), `${uid} has no $${name}`);
  }
});

/** Lines that are about all that is chosen together, as their titles say. */
const TOGETHER = new Set(['Jobs by state', 'Length of searches', 'Searches that ended']);

test('lines tell jobs of one name in two namespaces, and several installations, apart', (t) => {
  const lines = built.flatMap(panelsOf).filter(({ type, title = '' }) => type === 'timeseries' && !TOGETHER.has(title));
  t.true(lines.length > 35);
  for (const panel of lines) {
    const { title } = panel;
    for (const { expr, legend } of queriesOf(panel)) {
      t.regex(legend, /\{\{namespace\}\}/, title);
      for (const [, labels = ''] of expr.matchAll(/\bby \(([^)]*)\)/g)) t.regex(labels, /^namespace, /, title);
      t.notRegex(expr, /\b(?:sum|avg|min|max|count|quantile|topk|bottomk)\s*\(/, title);
    }
  }
});

test('only parts of one whole are stacked: not jobs, nor installations, on each other', (t) => {
  const stacked = built.flatMap(panelsOf).filter(({ fieldConfig }) => {
    const { custom }: { custom?: { stacking?: { mode?: string } } } = { ...fieldConfig?.defaults };
    return custom?.stacking?.mode === 'normal';
  });
  t.true(stacked.length > 0);
  const titles = stacked.map(({ title = '' }) => title);
  t.deepEqual(
    titles.filter((title) => !TOGETHER.has(title)),
    [],
  );
});

test('every metric that a panel or an alert reads is in the reference', async (t) => {
  const page = await readFile(new URL('../../docs/reference/metrics.md', import.meta.url), 'utf8');
  const queries = [
    ...built.flatMap((dashboard) => panelsOf(dashboard).flatMap((panel) => queriesOf(panel).map(({ expr }) => expr))),
    ...ALERTS.flatMap(({ signal, wrong }) => [signal, wrong]),
  ];
  const names = new Set(queries.flatMap(metricsIn));
  t.true(names.size > 40);
  for (const name of names)
    if (!/^(?:process|nodejs)_/.test(name)) t.true(page.includes(`| \`${name}\``), `${name} is not documented`);
});

test('every alert has a runbook, and there is none for an alert that is not', async (t) => {
  const page = await readFile(new URL('../../docs/operations.md', import.meta.url), 'utf8');
  const headings = [...page.matchAll(/^### (Soapstone\w+)$/gm)].map(([, name]) => name ?? '');
  t.deepEqual(
    headings,
    ALERTS.map(({ name }) => name),
  );
  for (const alert of ALERTS) t.is(runbookOf(alert), `docs/operations.md#${alert.name.toLowerCase()}`);
});
