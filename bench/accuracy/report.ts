import type { Pair, Prediction } from './pairs.ts';
import { pairsOf } from './pairs.ts';
import type { AccuracyRow, Part } from './rows.ts';

/** Kernels, and transfers, listed. */
const PARTS_SHOWN = 15;

/** How far predictions are off. */
interface Accuracy {
  readonly meanError: number;
  readonly worstError: number;
  /** Of pairs of strategies of one model on one number of devices that differ by more than 5 %, how many are in order. */
  readonly pairs: number;
  readonly ordered: number;
  /** The same of those that differ by more than 5 % with 95 % confidence. */
  readonly surePairs: number;
  readonly sureOrdered: number;
}

const ofIdleMachine: Prediction = ({ predictedMs }) => predictedMs;
const besideOthers: Prediction = ({ besideOthersMs }) => besideOthersMs;

function accuracyOf(rows: readonly AccuracyRow[], predicted: Prediction): Accuracy {
  const errors = rows.map((row) => Math.abs(predicted(row) / row.measuredMs - 1));
  const meanError = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  const pairs = pairsOf(rows, predicted);
  const ordered = pairs.filter(({ isOrdered }) => isOrdered);
  const isSure = ({ isSure: sure }: Pair): boolean => sure;
  return {
    meanError,
    worstError: Math.max(...errors),
    pairs: pairs.length,
    ordered: ordered.length,
    surePairs: pairs.filter(isSure).length,
    sureOrdered: ordered.filter(isSure).length,
  };
}

/** The rows, the sums by model, and the kernels and transfers that are off most. */
export function accuracyText(rows: readonly AccuracyRow[]): string {
  const table = [
    ['model', 'devices', 'strategy', 'predicted, ms', 'beside others, ms', 'measured, ms', 'others, cores'],
    ...rows.map(({ model, devices, strategy, predictedMs, besideOthersMs, measuredMs, otherCores }) => [
      model,
      devices,
      strategy,
      ...[predictedMs, besideOthersMs, measuredMs].map((ms) => ms.toFixed(2)),
      otherCores?.toFixed(2) ?? '-',
    ]),
  ];
  const sums = [
    [
      'model',
      'devices',
      'rows',
      'mean error',
      'worst',
      'in order',
      'surely over 5 %: in order',
      '... beside others: mean error',
      'worst',
      'in order',
      'surely: in order',
    ],
    ...[...Map.groupBy(rows, ({ model, devices }) => `${model} | ${devices}`)].map(([name, group]) =>
      sumCells(name, group),
    ),
    sumCells('all |', rows),
  ];
  return `${markdown(table)}\n${markdown(sums)}\n${wrongPairsText(rows)}\nkernels that are off most:\n${partsText(rows, 'kernel')}\ntransfers that are off most, by what is sent after a kernel:\n${partsText(rows, 'transfers')}`;
}

function sumCells(name: string, rows: readonly AccuracyRow[]): (string | number)[] {
  const cells = [ofIdleMachine, besideOthers].flatMap((predicted) => {
    const { meanError, worstError, pairs, ordered, surePairs, sureOrdered } = accuracyOf(rows, predicted);
    return [percent(meanError), percent(worstError), `${ordered} of ${pairs}`, `${sureOrdered} of ${surePairs}`];
  });
  return [name, rows.length, ...cells];
}

/** Pairs out of order, those that differ by more than 5 % with 95 % confidence first, then those that differ most. */
function wrongPairsText(rows: readonly AccuracyRow[]): string {
  const wrong = pairsOf(rows, ofIdleMachine).filter(({ isOrdered }) => !isOrdered);
  const listed = wrong.toSorted((a, b) => Number(b.isSure) - Number(a.isSure) || b.measured - a.measured);
  const rounds = ({ roundsMs }: AccuracyRow): string => roundsMs.map((ms) => ms.toFixed(2)).join(' ');
  const table = [
    [
      'out of order: the slower',
      'the faster',
      'measured',
      'at least, 95 %',
      'predicted',
      'rounds of the slower, ms',
      'of the faster',
    ],
    ...listed.map(({ slow, fast, measured, margin, predicted }) => [
      `${slow.model} on ${slow.devices}, ${slow.strategy}`,
      fast.strategy,
      ...[measured, measured - margin, predicted].map(differenceInPercent),
      rounds(slow),
      rounds(fast),
    ]),
  ];
  const sure = wrong.filter(({ isSure }) => isSure).length;
  return `${wrong.length} pairs out of order, ${sure} of them surely more than 5 % apart\n${wrong.length === 0 ? '' : markdown(table)}`;
}

/** Kernels or transfers, those that are off most first. */
function partsText(rows: readonly AccuracyRow[], kind: Part['kind']): string {
  const parts = rows.flatMap(({ model, devices, strategy, parts: list }) =>
    list
      .filter((part) => part.kind === kind)
      .map((part) => ({ ...part, what: `${model} on ${devices}, ${strategy}: ${part.what}` })),
  );
  const off = ({ predictedUs, measuredUs }: (typeof parts)[number]): number => Math.abs(predictedUs - measuredUs);
  const lines = parts
    .toSorted((a, b) => off(b) - off(a))
    .slice(0, PARTS_SHOWN)
    .map(
      ({ what, predictedUs, measuredUs }) =>
        `  ${what}: ${predictedUs.toFixed(0)} us predicted, ${measuredUs.toFixed(0)} us measured\n`,
    );
  return lines.join('');
}

function markdown([head, ...rows]: readonly (readonly (string | number)[])[]): string {
  const line = (cells: readonly (string | number)[]): string => `| ${cells.join(' | ')} |\n`;
  return `${line(head!)}${line(head!.map(() => '---'))}${rows.map(line).join('')}`;
}

/** What a logarithm says of a time, such as +7.2 %. */
function differenceInPercent(log: number): string {
  if (!Number.isFinite(log)) return '-';
  return `${log < 0 ? '' : '+'}${percent(Math.exp(log) - 1)}`;
}

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
