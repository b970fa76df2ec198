/**
 * Times training iterations of the runtime against PyTorch on the CPU: one device with two threads, and two devices of one core
 * each against DDP with gloo, both in turns in one run. Prints a table or one JSON object.
 * With a provider of GPUs: one device, against PyTorch on its GPU.
 */
import process from 'node:process';
import { isDeepStrictEqual, parseArgs } from 'node:util';
import { CASES } from './runtime/cases.ts';
import type { Answer, Setting } from './runtime/contender.ts';
import { Contender, findTorch } from './runtime/contender.ts';
import type { PlanName } from './runtime/strategy.ts';
import { strategyOf } from './runtime/strategy.ts';
import { quantile } from '../soap/quantile.ts';

const CORES = 2;
const TURNS = 5;
const WARM_UP = 2;
const FIRST_PORT = 47_400;
const PORTS_PER_ROW = 20;

const HELP = `npm run bench:runtime -- [options]
  --cases NAME,...    some of ${CASES.map(({ name }) => name).join(', ')}
  --devices N,...     1, 2 or both (default)
  --provider P        what computes (default cpu); with webgpu or cuda, of one device, PyTorch computes on its GPU
  --seconds N         time of each contender in each of ${TURNS} turns (default 1.5)
  --python PATH       a Python with torch, in place of the first one found
  --output json       an array of rows`;

interface Row {
  readonly case: string;
  readonly devices: number;
  readonly plan: PlanName;
  readonly soapstoneMs: number;
  /** Undefined without PyTorch. */
  readonly torchMs: number | undefined;
  /** PyTorch's time over ours. */
  readonly speedup: number | undefined;
  /** CPU time of an iteration, of all processes: what stays comparable on a machine that others use too. */
  readonly soapstoneCpuMs: number;
  readonly torchCpuMs: number | undefined;
  /** Iterations over the time of their kernels, of the slowest device. */
  readonly overKernels: number;
  /** Of the process that has most, as what follows; pages that it shares with others count in each. */
  readonly residentBytes: number;
  /** The same with memory that devices share divided among them: what is held against {@link Row.allowedBytes}. */
  readonly ownBytes: number;
  readonly plannedBytes: number;
  /** The goal. */
  readonly allowedBytes: number;
}

/** Median milliseconds of the slowest process in each turn, and the last answers. */
class Timings {
  readonly ms: number[] = [];
  readonly cpuMs: number[] = [];
  last: readonly Answer[] = [];
  readonly #contender: Contender;
  #iterations = WARM_UP;

  constructor(contender: Contender) {
    this.#contender = contender;
  }

  async warmUp(seconds: number): Promise<void> {
    await this.turn();
    await this.turn();
    this.#iterations = Math.max(3, Math.ceil((1000 * seconds) / this.ms.at(-1)!));
    [this.ms.length, this.cpuMs.length] = [0, 0];
  }

  async turn(): Promise<void> {
    const answers = await this.#contender.run(this.#iterations);
    this.last = answers;
    this.cpuMs.push(sum(answers.map(({ cpuMs }) => cpuMs)) / this.#iterations);
    this.ms.push(Math.max(...answers.map(({ ms }) => median(ms))));
  }

  stop(): void {
    this.#contender.stop();
  }
}

function sum(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0);
}

function median(values: readonly number[]): number {
  return quantile(values, 0.5)!;
}

async function measure(setting: Setting, python: string | undefined, seconds: number): Promise<Row[]> {
  const { caseName, devices, port } = setting;
  const benchCase = CASES.find(({ name }) => name === caseName)!;
  const plans: readonly PlanName[] = devices === 1 ? ['one device'] : ['data', 'found'];
  const training = benchCase.build();
  const strategies = plans.map((plan) => strategyOf(training, devices, plan));
  // What a search finds may be data parallelism itself, which runs once then: measured twice, it would differ from itself.
  const first = strategies.map((strategy) => strategies.findIndex((other) => isDeepStrictEqual(other, strategy)));
  const ours = strategies.map((strategy, index) =>
    first[index] === index
      ? new Timings(Contender.soapstone({ ...setting, port: port + index * devices }, strategy))
      : undefined,
  );
  const theirs =
    python === undefined ? undefined : new Timings(Contender.torch(python, { ...setting, port: port + 8 }));
  const timings = [...ours, theirs].filter((each) => each !== undefined);
  try {
    for (const each of timings) await each.warmUp(seconds);
    for (let turn = 0; turn < TURNS; turn++) for (const each of timings) await each.turn();
  } finally {
    for (const each of timings) each.stop();
  }
  return plans.map((plan, index) => ({ case: caseName, devices, plan, ...compared(ours[first[index]!]!, theirs) }));
}

function compared(ours: Timings, theirs: Timings | undefined): Omit<Row, 'case' | 'devices' | 'plan'> {
  const [soapstoneMs, torchMs] = [median(ours.ms), theirs && median(theirs.ms)];
  const plannedBytes = Math.max(...ours.last.map((answer) => answer.plannedBytes!));
  return {
    soapstoneMs,
    torchMs,
    speedup: torchMs && torchMs / soapstoneMs,
    soapstoneCpuMs: median(ours.cpuMs),
    torchCpuMs: theirs && median(theirs.cpuMs),
    overKernels: Math.max(...ours.last.map(({ ms, kernelMs }) => sum(ms) / kernelMs!)),
    residentBytes: Math.max(...ours.last.map(({ residentBytes }) => residentBytes!)),
    ownBytes: Math.max(...ours.last.map(({ ownBytes }) => ownBytes!)),
    plannedBytes,
    allowedBytes: 1.3 * plannedBytes + 150e6,
  };
}

function printRow({
  case: name,
  devices,
  plan,
  soapstoneMs,
  torchMs,
  speedup,
  soapstoneCpuMs,
  torchCpuMs,
  ...row
}: Row): void {
  const megabytes = (bytes: number): string => `${Math.round(bytes / 1e6)} MB`;
  const torch =
    torchMs === undefined
      ? ''
      : `PyTorch ${torchMs.toFixed(1)} ms (CPU ${torchCpuMs!.toFixed(1)}), ratio ${speedup!.toFixed(2)}; `;
  console.log(
    `${name} on ${devices}, ${plan}: ${soapstoneMs.toFixed(1)} ms (CPU ${soapstoneCpuMs.toFixed(1)}); ${torch}${row.overKernels.toFixed(3)} times its kernels; ` +
      `${megabytes(row.residentBytes)} resident, ${megabytes(row.ownBytes)} with what devices share divided, for ` +
      `${megabytes(row.plannedBytes)} planned and ${megabytes(row.allowedBytes)} allowed`,
  );
}

/** The given names, each one of those known. @throws {RangeError} otherwise */
function chosen(text: string | undefined, known: readonly string[], option: string): string[] {
  const names = text?.split(',') ?? [...known];
  const strange = names.filter((each) => !known.includes(each));
  if (strange.length > 0) throw new RangeError(`${option} has ${strange.join()}; expected some of ${known.join(', ')}`);
  return names;
}

async function main(): Promise<void> {
  const text = { type: 'string' } as const;
  const { values } = parseArgs({
    options: {
      cases: text,
      devices: text,
      provider: { ...text, default: 'cpu' },
      seconds: { ...text, default: '1.5' },
      python: text,
      output: text,
      help: { type: 'boolean' },
    },
  });
  if (values.help === true) return console.log(HELP);
  const names = chosen(
    values.cases,
    CASES.map(({ name }) => name),
    '--cases',
  );
  const { provider } = values;
  const counts = chosen(values.devices, provider === 'cpu' ? ['1', '2'] : ['1'], '--devices').map(Number);
  const seconds = Number(values.seconds);
  if (!(seconds > 0)) throw new RangeError(`--seconds is ${values.seconds}; expected a number greater than 0`);
  const torch = findTorch(values.python);
  if (torch === undefined)
    console.error("nothing is compared with PyTorch, which is absent; install Debian's python3-torch");
  else if (values.output !== 'json') console.log(`PyTorch ${torch.version}`);
  const rows: Row[] = [];
  for (const name of names) {
    const index = CASES.findIndex((each) => each.name === name);
    for (const devices of counts) {
      if (devices === 1 && CASES[index]?.onlyOnSeveral === true) continue;
      const port = FIRST_PORT + PORTS_PER_ROW * (2 * index + devices);
      const setting = { caseName: name, devices, threads: CORES / devices, provider, port };
      const measured = await measure(setting, torch?.python, seconds);
      if (values.output !== 'json') for (const row of measured) printRow(row);
      rows.push(...measured);
    }
  }
  if (values.output === 'json') console.log(JSON.stringify(rows));
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 2;
}
