import { setTimeout as sleep } from 'node:timers/promises';
import { ALERTS } from '../../monitoring/alerts.ts';
import { buildDashboard } from '../../monitoring/dashboards/dashboard.ts';
import { DASHBOARDS } from '../../monitoring/dashboards/index.ts';
import type { Prometheus } from './prometheus.ts';
import { queriesOf } from './queries-of.ts';

const PATIENCE_MS = 150_000;
/** A second try at once would see the same scrape. */
const PAUSE_MS = 1000;

/** A query of a panel or alert, with values in place of variables. */
export interface Question {
  /** Where it is from, for people. */
  readonly from: string;
  readonly expr: string;
  /** Whether it is asked for now, and not over time. */
  readonly instant: boolean;
}

/** Every query of every panel, what every alert measures, and the series behind every variable. @param job a regular expression of names */
export function allQuestions(job: string): Question[] {
  const filled = (expr: string): string =>
    expr
      .replaceAll('$__rate_interval', '10s')
      .replaceAll('$__range', '5m')
      .replaceAll('$namespace', '.*')
      .replaceAll('$job', job);
  const panels = DASHBOARDS.flatMap((spec) =>
    (buildDashboard(spec).panels ?? []).flatMap((panel) =>
      panel.type === 'row'
        ? []
        : queriesOf(panel).map(({ refId, expr, instant }) => ({
            from: `${spec.title}: ${panel.title} ${refId}`,
            expr: filled(expr),
            instant,
          })),
    ),
  );
  const alerts = ALERTS.map(({ name, signal }) => ({ from: name, expr: signal, instant: false }));
  const variables = DASHBOARDS.flatMap(({ title, variables }) =>
    variables.map(({ name, series }) => ({ from: `${title}: $${name}`, expr: filled(series), instant: true })),
  );
  return [...panels, ...alerts, ...variables];
}

/** Names of metrics in a query, without what histograms append. */
export function metricsIn(query: string): string[] {
  const names = query.matchAll(
    /\b(?:soapstone|controller_runtime|workqueue|leader_election|rest_client|process|nodejs)_\w+/g,
  );
  return [...names].map(([name]) => name.replace(/_(?:bucket|sum|count)$/, ''));
}

/**
 * Asks until every question has been answered with a number at some time.
 * @param sinceMs when what is measured began, by `performance.now()`
 * @returns those that were not, in the time there is
 */
export async function unanswered(
  prometheus: Prometheus,
  questions: readonly Question[],
  sinceMs: number,
): Promise<Question[]> {
  const startMs = performance.now();
  let open = [...questions];
  while (open.length > 0 && performance.now() - startMs < PATIENCE_MS) {
    await sleep(PAUSE_MS);
    const seconds = (performance.now() - sinceMs) / 1000;
    const answered = await Promise.all(open.map((question) => isAnswered(prometheus, question, seconds)));
    open = open.filter((_, index) => !answered[index]);
  }
  return open;
}

async function isAnswered(prometheus: Prometheus, { expr, instant }: Question, seconds: number): Promise<boolean> {
  const answers = await (instant ? prometheus.query(expr) : prometheus.queryRange(expr, seconds));
  return answers.some(({ values }) => values.some(([, value]) => Number.isFinite(value)));
}
