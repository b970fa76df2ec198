import type { AccuracyRow } from './rows.ts';

/** Pairs of strategies closer than this need not be in order. */
const WORTH_ORDERING = 0.05;

/** Kernels listed. */
const PARTS_SHOWN = 15;

/** How far predictions are off. */
interface Accuracy {
  readonly rows: number;
  readonly meanError: number;
  readonly worstError: number;
  /** Of pairs of strategies of one model on one number of devices that differ by more than 5 %, how many are in order. */
  readonly pairs: number;
  readonly ordered: number;
}

function accuracyOf(rows: readonly AccuracyRow[]): Accuracy {
  const errors = rows.map((row) => Math.abs(errorOf(row)));
  let [pairs, ordered] = [0, 0];
  for (const group of Map.groupBy(rows, ({ model, devices }) => `${model} ${devices}`).values()) {
    group.forEach((a, i) => {
      for (const b of group.slice(i + 1)) {
        const [slow, fast] = a.measuredMs > b.measuredMs ? [a, b] : [b, a];
        if (slow.measuredMs <= fast.measuredMs * (1 + WORTH_ORDERING)) continue;
        pairs += 1;
        if (slow.predictedMs > fast.predictedMs) ordered += 1;
      }
    });
  }
  return {
    rows: rows.length,
    meanError: errors.reduce((sum, error) => sum + error, 0) / errors.length,
    worstError: Math.max(...errors),
    pairs,
    ordered,
  };
}

function errorOf({ predictedMs, measuredMs }: AccuracyRow): number {
  return predictedMs / measuredMs - 1;
}

/** The rows, the sums by model, and the kernels that are off most. */
export function accuracyText(rows: readonly AccuracyRow[]): string {
  const lines = [
    '| model | devices | strategy | predicted, ms | measured, ms | error | others, cores |',
    '| --- | --- | --- | --- | --- | --- | --- |',
  ];
  for (const row of rows) {
    const times = [row.predictedMs, row.measuredMs].map((ms) => ms.toFixed(2));
    lines.push(
      `| ${[row.model, row.devices, row.strategy, ...times, percent(errorOf(row)), row.otherCores?.toFixed(2) ?? '-'].join(' | ')} |`,
    );
  }
  lines.push(
    '',
    '| model | devices | rows | mean error | worst | pairs in order |',
    '| --- | --- | --- | --- | --- | --- |',
  );
  for (const [name, group] of Map.groupBy(rows, ({ model, devices }) => `${model} | ${devices}`)) {
    lines.push(`| ${name} | ${accuracyCells(accuracyOf(group))} |`);
  }
  lines.push(`| all | | ${accuracyCells(accuracyOf(rows))} |`, '', 'kernels that are off most:');
  const parts = rows.flatMap(({ model, devices, strategy, parts: list }) =>
    list.map((part) => ({ ...part, what: `${model} on ${devices}, ${strategy}: ${part.what}` })),
  );
  const off = ({ predictedUs, measuredUs }: (typeof parts)[number]): number => Math.abs(predictedUs - measuredUs);
  for (const part of parts.toSorted((a, b) => off(b) - off(a)).slice(0, PARTS_SHOWN)) {
    lines.push(
      `  ${part.what}: ${part.predictedUs.toFixed(0)} us predicted, ${part.measuredUs.toFixed(0)} us measured`,
    );
  }
  return `${lines.join('\n')}\n`;
}

function accuracyCells({ rows, meanError, worstError, pairs, ordered }: Accuracy): string {
  return [rows, percent(meanError), percent(worstError), `${ordered} of ${pairs}`].join(' | ');
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
