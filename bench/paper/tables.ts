import type { Cell } from './cell.ts';
import { compareCell } from './compare.ts';
import type { PaperModel, Rates } from './figures.ts';
import { APPROACHES, P100_GPUS } from './figures.ts';

/** A row: what came out for a model on so many GPUs. */
export interface Row {
  readonly model: PaperModel;
  readonly gpus: number;
  readonly cell: Cell;
}

/** The paper's rates for a model on P100s; undefined for numbers of GPUs that it does not have. */
function paperRates({ p100 }: PaperModel, gpus: number): Rates | undefined {
  const at = P100_GPUS.findIndex((count) => count === gpus);
  return at < 0 ? undefined : { data: p100.data[at]!, expert: p100.expert[at]!, found: p100.found[at]! };
}

/** A Markdown table of ours beside the paper's, and how many cells agree. */
export function comparedTable(rows: readonly Row[]): string {
  const lines = [
    '| model | GPUs | ours: data / expert / found | paper: data / expert / found | speedup ours | paper | ratio | order |',
    '| --- | --- | --- | --- | --- | --- | --- | --- |',
  ];
  let [compared, inOrder, speedups] = [0, 0, 0];
  for (const { model, gpus, cell } of rows) {
    const paper = paperRates(model, gpus);
    if (paper === undefined) continue;
    const { speedupRatio, speedupAgrees, disorders } = compareCell(cell.rates, paper);
    compared += 1;
    inOrder += disorders.length === 0 ? 1 : 0;
    speedups += speedupAgrees ? 1 : 0;
    const order = disorders.length === 0 ? 'same' : disorders.map(([a, b]) => `not ${a} > ${b}`).join(', ');
    const [ours, theirs] = [cell.rates, paper].map(({ found, data }) => (found / data).toFixed(2));
    const ratio = `${speedupRatio.toFixed(2)}${speedupAgrees ? '' : ' !'}`;
    lines.push(
      `| ${model.name} | ${gpus} | ${listed(cell.rates)} | ${listed(paper)} | ${ours} | ${theirs} | ${ratio} | ${order} |`,
    );
  }
  return [...lines, '', `${inOrder} of ${compared} cells in the paper's order, ${speedups} speedups within 25 %`].join(
    '\n',
  );
}

/** A Markdown table of ours alone. */
export function plainTable(rows: readonly Row[]): string {
  return [
    '| model | GPUs | data / expert / found | speedup over data parallel |',
    '| --- | --- | --- | --- |',
    ...rows.map(({ model, gpus, cell: { rates } }) => {
      const speedup = (rates.found / rates.data).toFixed(2);
      return `| ${model.name} | ${gpus} | ${listed(rates)} | ${speedup} |`;
    }),
  ].join('\n');
}

function listed(rates: Rates): string {
  return APPROACHES.map((approach) => rates[approach].toPrecision(4)).join(' / ');
}
