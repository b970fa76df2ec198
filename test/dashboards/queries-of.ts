import type { Panel } from '@grafana/grafana-foundation-sdk/dashboard';

/** A query of a panel as its JSON has it. */
export interface PanelQuery {
  readonly refId: string;
  readonly expr: string;
  /** Whether it is asked for now, and not over time. */
  readonly instant: boolean;
  /** How its series are called; empty where the panel has no names for them. */
  readonly legend: string;
}

/** The queries of a panel. @throws {Error} where one is no query of Prometheus */
export function queriesOf({ title, targets = [] }: Panel): PanelQuery[] {
  return targets.map((target) => {
    const query: Record<string, unknown> = { ...target };
    const [refId, expr, instant] = [query['refId'], query['expr'], query['instant']];
    if (typeof refId !== 'string' || typeof expr !== 'string') throw new Error(`${title} has a query without PromQL`);
    const legend = query['legendFormat'];
    return { refId, expr, instant: instant === true, legend: typeof legend === 'string' ? legend : '' };
  });
}
