import type { Builder, Dataquery } from '@grafana/grafana-foundation-sdk/cog';
import {
  BigValueColorMode,
  BigValueGraphMode,
  GraphDrawStyle,
  LegendDisplayMode,
  LegendPlacement,
  ReduceDataOptionsBuilder,
  SortOrder,
  StackingConfigBuilder,
  StackingMode,
  TooltipDisplayMode,
  VisibilityMode,
  VizLegendOptionsBuilder,
  VizTooltipOptionsBuilder,
} from '@grafana/grafana-foundation-sdk/common';
import type { DataTransformerConfig, Panel } from '@grafana/grafana-foundation-sdk/dashboard';
import { ThresholdsConfigBuilder, ThresholdsMode } from '@grafana/grafana-foundation-sdk/dashboard';
import { DataqueryBuilder, PromQueryFormat } from '@grafana/grafana-foundation-sdk/prometheus';
import { PanelBuilder as StatBuilder } from '@grafana/grafana-foundation-sdk/stat';
import { PanelBuilder as TableBuilder } from '@grafana/grafana-foundation-sdk/table';
import { PanelBuilder as LinesBuilder } from '@grafana/grafana-foundation-sdk/timeseries';

/** The grid's columns. */
const GRID_WIDTH = 24;

/** What every panel of every dashboard reads from: the one that the variable `datasource` names. */
export const DATASOURCE = { type: 'prometheus', uid: '${datasource}' } as const;

/** A line of PromQL, and how its series are called: Grafana replaces `{{label}}`. */
export interface Query {
  readonly expr: string;
  readonly legend?: string;
}

/** What all panels have. Units are Grafana's ids, such as `s`, `Bps`, `percentunit`. */
interface Common {
  readonly title: string;
  /** What it shows and what to make of it, in sentences. */
  readonly description: string;
  readonly queries: readonly Query[];
  readonly unit: string;
  readonly width?: number;
  readonly height?: number;
  readonly decimals?: number;
  /** From which value on it is red, or below which. */
  readonly redFrom?: number;
  readonly redBelow?: number;
}

/** A panel of a dashboard. */
export type PanelSpec =
  | (Common & {
      readonly kind: 'lines';
      /** Only where all series are parts of one whole: those of two jobs, or installations, would lie on each other. */
      readonly stacked?: boolean;
      readonly max?: number;
    })
  | (Common & { readonly kind: 'stat' })
  | (Common & {
      readonly kind: 'table';
      readonly transformations: readonly DataTransformerConfig[];
      /** Units of single columns, by their names after the transformations. */
      readonly columnUnits?: Readonly<Record<string, string>>;
      /** Where a column leads: a dashboard's address. */
      readonly columnLinks?: Readonly<Record<string, { readonly title: string; readonly url: string }>>;
    });

/** Panels under a heading. */
export interface RowSpec {
  readonly title: string;
  readonly panels: readonly PanelSpec[];
}

/** Builds a panel. Its id is unique within its dashboard. */
export function buildPanel(spec: PanelSpec, id: number): Builder<Panel> {
  switch (spec.kind) {
    case 'lines':
      return linesPanel(spec, id);
    case 'stat':
      return statPanel(spec, id);
    case 'table':
      return tablePanel(spec, id);
  }
}

type Of<K extends PanelSpec['kind']> = Extract<PanelSpec, { readonly kind: K }>;

function linesPanel(spec: Of<'lines'>, id: number): LinesBuilder {
  const panel = common(new LinesBuilder(), spec, id, { width: 12, height: 8 })
    .targets(spec.queries.map((query, index) => rangeQuery(query, index)))
    .drawStyle(GraphDrawStyle.Line)
    .lineWidth(1)
    .fillOpacity(spec.stacked === true ? 30 : 5)
    .showPoints(VisibilityMode.Auto)
    .legend(legend())
    .tooltip(new VizTooltipOptionsBuilder().mode(TooltipDisplayMode.Multi).sort(SortOrder.Descending))
    .axisSoftMin(0);
  if (spec.stacked === true) panel.stacking(new StackingConfigBuilder().mode(StackingMode.Normal).group('A'));
  if (spec.max !== undefined) panel.max(spec.max);
  return panel;
}

function legend(): VizLegendOptionsBuilder {
  return new VizLegendOptionsBuilder()
    .showLegend(true)
    .displayMode(LegendDisplayMode.Table)
    .placement(LegendPlacement.Bottom)
    .calcs(['lastNotNull', 'max']);
}

function statPanel(spec: Of<'stat'>, id: number): StatBuilder {
  return common(new StatBuilder(), spec, id, { width: 6, height: 4 })
    .targets(spec.queries.map((query, index) => rangeQuery(query, index)))
    .graphMode(BigValueGraphMode.Area)
    .colorMode(BigValueColorMode.Value)
    .reduceOptions(new ReduceDataOptionsBuilder().calcs(['lastNotNull']).values(false))
    .noValue('none');
}

function tablePanel(spec: Of<'table'>, id: number): TableBuilder {
  const panel = common(new TableBuilder(), spec, id, { width: GRID_WIDTH, height: 9 })
    .targets(spec.queries.map((query, index) => tableQuery(query, index)))
    .transformations([...spec.transformations])
    .noValue('-');
  for (const [column, unit] of Object.entries(spec.columnUnits ?? {}))
    panel.overrideByName(column, [{ id: 'unit', value: unit }]);
  for (const [column, link] of Object.entries(spec.columnLinks ?? {}))
    panel.overrideByName(column, [{ id: 'links', value: [link] }]);
  return panel;
}

/** The part of the three builders that is alike. */
interface CommonBuilder {
  id(id: number): this;
  title(title: string): this;
  description(text: string): this;
  datasource(reference: typeof DATASOURCE): this;
  span(width: number): this;
  height(height: number): this;
  unit(unit: string): this;
  decimals(decimals: number): this;
  thresholds(thresholds: ThresholdsConfigBuilder): this;
}

function common<B extends CommonBuilder>(
  panel: B,
  spec: PanelSpec,
  id: number,
  size: { readonly width: number; readonly height: number },
): B {
  panel.id(id).title(spec.title).description(spec.description).datasource(DATASOURCE).unit(spec.unit);
  panel.span(spec.width ?? size.width).height(spec.height ?? size.height);
  if (spec.decimals !== undefined) panel.decimals(spec.decimals);
  const steps = colours(spec);
  if (steps.length > 1) panel.thresholds(new ThresholdsConfigBuilder().mode(ThresholdsMode.Absolute).steps(steps));
  return panel;
}

function colours({ redFrom, redBelow }: PanelSpec): { value: number | null; color: string }[] {
  const lowest = { value: null, color: redBelow === undefined ? 'green' : 'red' };
  return [
    lowest,
    ...(redBelow === undefined ? [] : [{ value: redBelow, color: 'green' }]),
    ...(redFrom === undefined ? [] : [{ value: redFrom, color: 'red' }]),
  ];
}

function refId(index: number): string {
  return String.fromCodePoint('A'.codePointAt(0)! + index);
}

function rangeQuery({ expr, legend: name }: Query, index: number): Builder<Dataquery> {
  const query = new DataqueryBuilder().refId(refId(index)).datasource(DATASOURCE).expr(expr).range();
  return name === undefined ? query : query.legendFormat(name);
}

function tableQuery({ expr }: Query, index: number): Builder<Dataquery> {
  return new DataqueryBuilder()
    .refId(refId(index))
    .datasource(DATASOURCE)
    .expr(expr)
    .instant()
    .format(PromQueryFormat.Table);
}
