/**
 * Predicts the throughputs of the FlexFlow paper's figure 6 from each model's speed on one GPU and the bandwidths of two kinds
 * of links, and prints them beside the paper's. See docs/performance/paper.md.
 */
import process from 'node:process';
import { parseArgs } from 'node:util';
import type { CellRequest } from './paper/cell.ts';
import type { PaperCluster, PaperModel, Rates } from './paper/figures.ts';
import { P100_GPUS, PAPER_MODELS } from './paper/figures.ts';
import { fillCells } from './paper/fill-cells.ts';
import type { Wires } from './paper/problem.ts';
import { PAPER_WIRES } from './paper/problem.ts';
import type { Row } from './paper/tables.ts';
import { comparedTable, plainTable } from './paper/tables.ts';

const MODEL_NAMES = PAPER_MODELS.map(({ builtin }) => builtin);

const HELP = `npm run bench:paper -- [options]
  --cluster p100|k80          the paper's cluster (default p100)
  --collectives owner|any     how gradients are summed: all at one device, as the paper's system does (default), or the
                              fastest of all ways that Soapstone has
  --sums alone|overlapping    as in the authors' simulator: devices compute nothing while they sum, and fetch the results in
                              the next iteration (alone, default); or as Soapstone does it (overlapping)
  --ports one|all             whether all that a GPU sends inside its node passes one port, as sums do in the authors'
                              simulator (default), or a link to each other GPU
  --inside GBPS               GB/s each way between the GPUs of a node (default: data sheet)
  --between GBPS              GB/s each way of a node's network adapter (default: data sheet)
  --models NAME,...           some of ${MODEL_NAMES.join(', ')}
  --gpus N,...                numbers of GPUs (default 2 to 16, K80: 2 to 64)
  --seconds N                 search time of each cell (default 20)
  --proposals N               proposals of each search, in place of time
  --output json               {model: {gpus: {data, expert, found}}} in samples/s/GPU`;

const GPUS: Readonly<Record<PaperCluster, readonly number[]>> = { p100: P100_GPUS, k80: [2, 4, 8, 16, 32, 64] };
const DEFAULT_SECONDS = 20;
/** Where proposals are counted, time does not end a search. */
const UNBOUNDED_SECONDS = 24 * 3600;

interface Settings {
  readonly cluster: PaperCluster;
  readonly gpus: readonly number[];
  readonly models: readonly PaperModel[];
  readonly wires: Wires;
  readonly seconds: number;
  readonly proposals: number | undefined;
  readonly json: boolean;
}

/** @throws {RangeError} saying what is wrong */
function readSettings(): Settings | undefined {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      cluster: { ...text, default: 'p100' },
      collectives: { ...text, default: 'owner' },
      sums: { ...text, default: 'alone' },
      ports: { ...text, default: 'one' },
      inside: text,
      between: text,
      models: text,
      gpus: text,
      seconds: text,
      proposals: text,
      output: { ...text, default: 'text' },
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return undefined;
  const cluster = choiceOf('cluster', values.cluster, ['p100', 'k80'] as const);
  const collectives = choiceOf('collectives', values.collectives, ['owner', 'any'] as const);
  const proposals = numberOf('proposals', values.proposals);
  return {
    cluster,
    gpus: values.gpus?.split(',').map((each) => numberOf('gpus', each)!) ?? GPUS[cluster],
    models: values.models?.split(',').map(modelOf) ?? PAPER_MODELS,
    wires: {
      insideGBps: numberOf('inside', values.inside),
      onePort: choiceOf('ports', values.ports, ['one', 'all'] as const) === 'one',
      betweenGBps: numberOf('between', values.between),
      collectives: collectives === 'any' ? undefined : PAPER_WIRES.collectives,
      sums: choiceOf('sums', values.sums, ['alone', 'overlapping'] as const) === 'alone' ? PAPER_WIRES.sums : undefined,
    },
    seconds: numberOf('seconds', values.seconds) ?? (proposals === undefined ? DEFAULT_SECONDS : UNBOUNDED_SECONDS),
    proposals,
    json: choiceOf('output', values.output, ['text', 'json'] as const) === 'json',
  };
}

function choiceOf<T extends string>(option: string, value: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new RangeError(`--${option} is '${value}'; expected ${choices.join(' or ')}`);
}

function modelOf(name: string): PaperModel {
  return PAPER_MODELS.find(({ builtin }) => builtin === choiceOf('models', name, MODEL_NAMES))!;
}

function numberOf(option: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const number = Number(value);
  if (number > 0 && Number.isFinite(number)) return number;
  throw new RangeError(`--${option} is '${value}'; expected a positive number`);
}

async function measure({ models, gpus, cluster, wires, seconds, proposals }: Settings): Promise<Row[]> {
  const places = models.flatMap((model) => gpus.map((count) => ({ model, gpus: count })));
  const requests = places.map(({ model, gpus: count }): CellRequest => ({
    model: model.name,
    cluster,
    gpus: count,
    wires,
    seconds,
    proposals,
  }));
  const cells = await fillCells(requests, (filled) => process.stderr.write(`\r${filled} of ${requests.length} cells`));
  process.stderr.write('\n');
  return places.map((place, i) => ({ ...place, cell: cells[i]! }));
}

/** {model: {gpus: rates}}. */
function asJson(rows: readonly Row[]): string {
  const result: Record<string, Record<number, Rates>> = {};
  for (const { model, gpus, cell } of rows) (result[model.name] ??= {})[gpus] = cell.rates;
  return JSON.stringify(result, null, 2);
}

async function main(): Promise<void> {
  const settings = readSettings();
  if (settings === undefined) {
    console.log(HELP);
    return;
  }
  const rows = await measure(settings);
  if (settings.json) console.log(asJson(rows));
  else console.log(settings.cluster === 'p100' ? comparedTable(rows) : plainTable(rows));
}

try {
  await main();
} catch (error) {
  // Bad options; what parseArgs says of them is a TypeError.
  if (!(error instanceof RangeError) && !(error instanceof TypeError)) throw error;
  console.error(`${error.message}\n\n${HELP}`);
  process.exitCode = 2;
}
