import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname } from 'node:path';
import process from 'node:process';
import { requireLibrary } from '../../runtime/kernels/create-engine.ts';
import { messageOf } from '../../soap/message-of.ts';
import { createCostTable, encodeCostTable, mergeCostTables } from '../../soap/cost/cost-table.ts';
import type { DeviceCosts } from '../../soap/cost/cost-table.ts';
import type { Arguments } from '../command-line/arguments.ts';
import {
  flag,
  kernelProvider,
  parseArguments,
  positiveNumber,
  text,
  wantsJson,
  wholeNumber,
} from '../command-line/arguments.ts';
import { withKernels } from '../run/changed-job.ts';
import { cachedTable, cachedTablePath, tableAt } from '../machine/costs.ts';
import { MODEL_HELP, MODEL_OPTIONS, MODEL_OPTIONS_HELP } from '../model/given-model.ts';
import { measuredOn } from '../profile/measured-on.ts';
import { profileMachine } from '../profile/profile-machine.ts';
import { PROBE_STEPS } from '../profile/probe.ts';
import { profileTarget } from '../profile/target.ts';
import { requireWritable, writeResult } from '../files/result-file.ts';
import { table } from '../terminal/format.ts';
import type { Command } from '../command-line/command.ts';
import { UsageError } from '../command-line/usage-error.ts';

const HELP = `soapstone profile MODEL [options]: measures what a model costs on this machine

Measures every kernel that the model may come to on so many devices, by the engine that trains; messages between processes; and
iterations under a few splits, to which the costs of the host are fitted. The result goes into a cost table, beside what is there.
Where it is an NVIDIA GPU that trains, by CUDA, kernels alone are measured, on the first one.
${MODEL_HELP}
  --devices N      splits into at most so many parts; default: twice the cores of this machine, at least 4
${MODEL_OPTIONS_HELP}  --batch N        samples per step in all; default 64 without a job
  --accumulate K   micro-batches of N / K samples that a step adds the gradients of, without a job; default 1
  --seconds S      begin no kernel after so long, default 120; what is left out is interpolated
  --rounds N       measure each iteration so often, default 2; once more where these times disagree
  --kernels        measure kernels only
  --provider P     what computes: auto, cpu or cuda; by default the job's training.kernels, else auto
  --save TABLE     the cost table; default: that of this machine, which soapstone run reads
  --output FORM    text (default) or json: what was measured

Ctrl-C ends it with what is measured so far.
example: soapstone profile examples/mnist/job.yaml --save costs.json
         soapstone run examples/mnist/job.yaml --steps 200 --costs costs.json
`;

const OPTIONS = {
  devices: { type: 'string' },
  ...MODEL_OPTIONS,
  batch: { type: 'string' },
  accumulate: { type: 'string' },
  seconds: { type: 'string' },
  rounds: { type: 'string' },
  kernels: { type: 'boolean' },
  provider: { type: 'string' },
  save: { type: 'string' },
  output: { type: 'string' },
} as const;

const DEFAULT_SECONDS = 120;
const DEFAULT_ROUNDS = 2;
const MAX_ROUNDS = 100;
const MAX_DEVICES = 64;
const INTERRUPTED = 130;

export const profileCommand: Command = {
  name: 'profile',
  summary: 'measure what a model costs on this machine',
  help: HELP,
  outlivesReader: true,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'profile');
    const asked = kernelProvider(parsed);
    requireLibrary(asked ?? 'auto');
    const { job, ...model } = await profileTarget(parsed, PROBE_STEPS);
    const on = measuredOn(asked, job.spec.training.kernels);
    const target = { ...model, job: withKernels(job, on.engine.provider) };
    const named = text(parsed, 'save');
    const path = named ?? cachedTablePath();
    await requireTableFolder(dirname(path));
    await requireWritable('save', path);
    const abort = new AbortController();
    const stop = (): void => abort.abort();
    process.once('SIGINT', stop);
    const {
      table: merged,
      measured,
      missing,
    } = await profileMachine(target, {
      on,
      known: named === undefined ? await cachedTable() : await tableAt(named),
      devices:
        wholeNumber(parsed, 'devices', 1, MAX_DEVICES) ??
        Math.max(4, Math.min(MAX_DEVICES, 2 * availableParallelism())),
      seconds: positiveNumber(parsed, 'seconds') ?? DEFAULT_SECONDS,
      rounds: wholeNumber(parsed, 'rounds', 1, MAX_ROUNDS) ?? DEFAULT_ROUNDS,
      kernelsOnly: flag(parsed, 'kernels'),
      signal: abort.signal,
    });
    process.off('SIGINT', stop);
    // Another may have written it meanwhile; what it holds by now is merged with, unless it is no table any more.
    const latest = (await tableAt(path).catch(() => undefined)) ?? merged;
    await writeResult(path, encodeCostTable(mergeCostTables(latest, createCostTable([measured]))));
    report(parsed, measured, missing, path);
    return abort.signal.aborted ? INTERRUPTED : 0;
  },
};

/** @throws {UsageError} a sentence where the folder is not there, and cannot be made */
async function requireTableFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true }).catch((error: unknown) => {
    throw new UsageError(
      `the cost table goes into ${folder}, which cannot be made: ${messageOf(error)}; expected a folder that this user may write to: name ` +
        'the table by --save FILE, or set XDG_CACHE_HOME',
      { cause: error },
    );
  });
}

function short(value: number): string {
  return Number(value.toPrecision(3)).toString();
}

function report(args: Arguments, measured: DeviceCosts, missing: number, path: string): void {
  const { deviceType, kernels, entries, messages, host, crowdedHost } = measured;
  if (wantsJson(args)) {
    process.stdout.write(
      `${JSON.stringify({ deviceType, kernels, measured: entries.length, missing, messages, host, crowdedHost, table: path })}\n`,
    );
    return;
  }
  const left = missing === 0 ? '' : `; ${missing} were left out`;
  process.stdout.write(`${entries.length} kernels measured on ${deviceType} with ${kernels}${left}\n`);
  if (messages.length > 0) {
    const rows = messages.map(({ bytes, us }) => [String(bytes), us.toFixed(0)]);
    process.stdout.write(table([['bytes of a message', 'us'], ...rows]));
  }
  if (host !== undefined && crowdedHost !== undefined) {
    const crowded = new Map(Object.entries(crowdedHost));
    const rows = Object.entries(host).map(([name, us]) => [name, short(us), short(crowded.get(name) ?? us)]);
    const head = ['', 'a core each', 'more devices than cores'];
    process.stdout.write(`costs of the host, fitted:\n${table([head, ...rows])}`);
  }
  process.stdout.write(`cost table written to ${path}\n`);
}
