import type { AccuracyRow, Part } from './rows.ts';

/** Pairs of strategies closer than this need not be in order. */
const WORTH_ORDERING = 0.05;

/** Kernels, and transfers, listed. */
const PARTS_SHOWN = 15;

/** How far predictions are off. */
interface Accuracy {
  readonly meanError: number;
  readonly worstError: number;
  /** Of pairs of strategies of one model on one number of devices that differ by more than 5 %, how many are in order. */
  readonly pairs: number;
  readonly ordered: number;
}

/** Which of a row's predictions is looked at. */
type Prediction = (row: AccuracyRow) => number;

const ofIdleMachine: Prediction = ({ predictedMs }) => predictedMs;
const besideOthers: Prediction = ({ besideOthersMs }) => besideOthersMs;

function accuracyOf(rows: readonly AccuracyRow[], predicted: Prediction): Accuracy {
  const errors = rows.map((row) => Math.abs(predicted(row) / row.measuredMs - 1));
  let [pairs, ordered] = [0, 0];
  for (const group of Map.groupBy(rows, ({ model, devices }) => `${model} ${devices}`).values()) {
    group.forEach((a, i) => {
      for (const b of group.slice(i + 1)) {
        const [slow, fast] = a.measuredMs > b.measuredMs ? [a, b] : [b, a];
        if (slow.measuredMs <= fast.measuredMs * (1 + WORTH_ORDERING)) continue;
        pairs += 1;
        if (predicted(slow) > predicted(fast)) ordered += 1;
      }
    });
  }
  const meanError = errors.reduce((sum, error) => sum + error, 0) / errors.length;
  return { meanError, worstError: Math.max(...errors), pairs, ordered };
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
      '... beside others: mean error',
      'worst',
      'in order',
    ],
    ...[...Map.groupBy(rows, ({ model, devices }) => `${model} | ${devices}`)].map(([name, group]) =>
      sumCells(name, group),
    ),
    sumCells('all |', rows),
  ];
  return `${markdown(table)}\n${markdown(sums)}\nkernels that are off most:\n${partsText(rows, 'kernel')}\ntransfers that are off most, by what is sent after a kernel:\n${partsText(rows, 'transfers')}`;
}

function sumCells(name: string, rows: readonly AccuracyRow[]): (string | number)[] {
  const cells = [ofIdleMachine, besideOthers].flatMap((predicted) => {
    const { meanError, worstError, pairs, ordered } = accuracyOf(rows, predicted);
    return [percent(meanError), percent(worstError), `${ordered} of ${pairs}`];
  });
  return [name, rows.length, ...cells];
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

function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
}
