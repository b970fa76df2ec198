import { availableParallelism } from 'node:os';
import process from 'node:process';
import { runIdentity } from '../../runtime/checkpoint/identity.ts';
import type { RunIdentity } from '../../runtime/checkpoint/index-file.ts';
import { requireDatasets } from '../../runtime/data/open-dataset.ts';
import { gpusHere, requireLibrary, whyGpusIdle } from '../../runtime/kernels/create-engine.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { flag, kernelProvider, text, wholeNumber } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { LocalJob } from '../files/read-job.ts';
import { readJob } from '../files/read-job.ts';
import { cachedTable, costsFor, namedTable, withMeasuredLinks } from '../machine/costs.ts';
import { machineInWords, thisMachine } from '../machine/this-machine.ts';
import { plannedDevices } from '../planning/plan-by.ts';
import { withKernels, withSteps } from './changed-job.ts';
import { frozenInWords } from '../model/frozen-in-words.ts';
import { requireCheckpointFolder } from './checkpoint-folder.ts';

const MAX_LOCAL_DEVICES = 64;

/** A job as the options of a command line have it, whose files are there: ready to be planned, and then trained. */
export interface PreparedRun extends LocalJob {
  /** What it is split by: see `planBy`. */
  readonly strategy: string;
  readonly problem: PlanningProblem;
  /** What a checkpoint that it goes on from must be of. */
  readonly identity: RunIdentity;
}

/**
 * Reads a job, and sees that what it needs is there before anything takes long.
 * @param say tells the user a line
 * @throws {UsageError} for options that do not fit the job or the machine
 * @throws {Error} sentences about what is wrong with the job or its files
 */
export async function prepareRun(path: string, args: Arguments, say: (line: string) => void): Promise<PreparedRun> {
  const { job, directory } = await askedJob(path, args);
  const { kernels, optimizer, wire } = job.spec.training;
  requireLibrary(kernels);
  const strategy =
    text(args, 'strategy') ?? (job.spec.plan === undefined ? 'search' : storagePath(directory, job.spec.plan));
  const machine = await machineFor(job, strategy, args, say);
  const idle = whyGpusIdle(kernels);
  if (idle !== undefined)
    process.stderr.write(`note: the NVIDIA GPU of this machine is not used: ${idle}; see docs/gpu.md\n`);
  const { training } = await loadModel(job, directory);
  if (job.spec.training.frozen.length > 0) frozenInWords(training.graph).forEach(say);
  const samples = await requireDatasets(job.spec, directory, training.graph);
  await requireCheckpointFolder(job, directory);
  const problem = {
    ...machine,
    training,
    optimizer: optimizer.name,
    wire,
    clipsGradients: optimizer.gradientClipNorm !== undefined,
    source: job.spec.model,
  };
  return { job, directory, strategy, problem, identity: runIdentity(job.spec, training, samples) };
}

/** The job of a file, as options change it. */
async function askedJob(path: string, args: Arguments): Promise<LocalJob> {
  const steps = wholeNumber(args, 'steps', 1, Number.MAX_SAFE_INTEGER);
  const { job: written, directory } = await readJob(path);
  if (flag(args, 'resume') && written.spec.checkpoint === undefined) {
    throw new UsageError(
      '--resume goes on from a checkpoint, and the job keeps none; expected spec.checkpoint in it: add it, or leave --resume out',
    );
  }
  const provider = kernelProvider(args);
  const shortened = steps === undefined ? written : withSteps(written, steps);
  return { job: provider === undefined ? shortened : withKernels(shortened, provider), directory };
}

/** The devices of this machine that a job is to have, and what tasks cost on them. */
async function machineFor(
  job: TrainingJob,
  strategy: string,
  args: Arguments,
  say: (line: string) => void,
): Promise<Pick<PlanningProblem, 'cluster' | 'costs'>> {
  const { kernels, optimizer } = job.spec.training;
  const gpus = gpusHere(kernels);
  const asked = wholeNumber(args, 'devices', 1, MAX_LOCAL_DEVICES) ?? (await plannedDevices(strategy));
  const plain = thisMachine(deviceCount(job, asked, gpus.length), gpus);
  const costs = costsFor((await namedTable(args)) ?? (await cachedTable()), plain, optimizer.name);
  const cluster = withMeasuredLinks(plain, costs);
  say(`job ${job.metadata.name}: ${machineInWords(cluster, gpus)}`);
  return { cluster, costs };
}

/** Devices to use: what is asked, or the plan has, else as many as there are cores, or GPUs that are told apart, within the job's bounds. */
function deviceCount(job: TrainingJob, asked: number | undefined, gpus: number): number {
  if (asked !== undefined) return asked;
  const { min, max } = job.spec.devices;
  // More devices than GPUs would share them.
  if (gpus > 0) return Math.max(min, Math.min(max, gpus));
  const cores = availableParallelism();
  if (min > cores) {
    throw new UsageError(
      `the job asks for at least ${min} devices, this machine has ${cores} cores; lower spec.devices.min, ` +
        `or pass --devices ${min} to let devices share cores`,
    );
  }
  return Math.min(max, cores);
}
