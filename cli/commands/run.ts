import { availableParallelism } from 'node:os';
import process from 'node:process';
import { encodeTrace } from '../../soap/explain/chrome-trace.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { PlanningProblem } from '../../soap/simulator/evaluate.ts';
import { gpusHere, requireLibrary, whyGpusIdle } from '../../runtime/kernels/create-engine.ts';
import { requireDatasets } from '../../runtime/data/open-dataset.ts';
import { loadModel } from '../../runtime/model/load-model.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import { runIdentity } from '../../runtime/checkpoint/identity.ts';
import type { RunIdentity } from '../../runtime/checkpoint/index-file.ts';
import { readTlsFolder } from '../../runtime/worker/tls-folder.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { flag, kernelProvider, parseArguments, text, wantsJson, wholeNumber } from '../command-line/arguments.ts';
import { withKernels, withSteps } from '../run/changed-job.ts';
import type { LocalRunOptions } from '../run/local-run.ts';
import { cachedTable, COSTS_OPTION, costsFor, namedTable, withMeasuredLinks } from '../machine/costs.ts';
import { requireMetricsPort, runLocally } from '../run/local-run.ts';
import { opsThatMatter, planBy, plannedDevices } from '../planning/plan-by.ts';
import { readJob } from '../files/read-job.ts';
import type { RunResult } from '../run/run-result.ts';
import { holdCheckpoints, requireCheckpointFolder, requireResumable } from '../run/checkpoint-folder.ts';
import { RECORDED_STEPS } from '../../runtime/program/recorder.ts';
import { Recording } from '../run/recording.ts';
import { requireWritable, writeResult } from '../files/result-file.ts';
import { RunRecord } from '../run/run-result.ts';
import { shellWords } from '../command-line/shell-words.ts';
import { StopSignals } from '../command-line/stop-signals.ts';
import { planReport } from '../terminal/plan-report.ts';
import { resultReport } from '../run/run-report.ts';
import { TrainingView } from '../run/training-view.ts';
import { machineInWords, thisMachine } from '../machine/this-machine.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Command } from '../command-line/command.ts';

const MAX_LOCAL_DEVICES = 64;

const HELP = `soapstone run JOB [options]: trains a TrainingJob on this machine

Each device is a process of its own. The split is searched unless a strategy or the job's plan says otherwise.

  --devices N        processes to train on; by default those of the plan, or as many as the job allows and there are cores, or with
                     CUDA GPUs
  --strategy S       search (default), data, model, expert, single, or the path of a plan file
  --costs FILE       a table of measured costs; by default that of this machine, where soapstone profile has written one
  --steps N          train so many steps, whatever the job says
  --provider P       what computes: auto, cpu, webgpu, cuda or reference; by default the job's training.kernels
  --resume           go on from the newest checkpoint
  --tls FOLDER       devices talk by TLS with the tls.crt, tls.key and ca.crt in it; a job with tls: true needs no files
  --metrics-port N   where Prometheus metrics are served on 127.0.0.1; 0 takes any free port (default)
  --trace FILE       write ten steps as a Chrome trace, which ui.perfetto.dev opens, and below the first one the predicted iteration
  --output FORM      text (default) or json: one object on standard output

During the search, Ctrl-C goes on to training with the best plan so far. After that it lets all devices finish a step and write a
checkpoint, then says how to go on; a second Ctrl-C ends it at once.

example: soapstone run examples/mnist/job.yaml --strategy data
`;

export const runCommand: Command = {
  name: 'run',
  summary: 'train a TrainingJob on this machine',
  help: HELP,
  outlivesReader: true,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'run');
    const [path, ...surplus] = parsed.positionals;
    if (path === undefined || surplus.length > 0) {
      throw new UsageError(`run has ${parsed.positionals.length} files; expected one: soapstone run JOB`);
    }
    return runJob(path, parsed);
  },
};

const OPTIONS = {
  devices: { type: 'string' },
  strategy: { type: 'string' },
  costs: COSTS_OPTION,
  steps: { type: 'string' },
  provider: { type: 'string' },
  resume: { type: 'boolean' },
  tls: { type: 'string' },
  'metrics-port': { type: 'string' },
  trace: { type: 'string' },
  output: { type: 'string' },
} as const;

async function runJob(path: string, args: Arguments): Promise<number> {
  const steps = wholeNumber(args, 'steps', 1, Number.MAX_SAFE_INTEGER);
  const trace = text(args, 'trace');
  await requireWritable('trace', trace);
  const metricsPort = wholeNumber(args, 'metrics-port', 0, 65535) ?? 0;
  await requireMetricsPort(metricsPort);
  const { job: written, directory } = await readJob(path);
  if (flag(args, 'resume') && written.spec.checkpoint === undefined) {
    throw new UsageError(
      '--resume goes on from a checkpoint, and the job keeps none; expected spec.checkpoint in it: add it, or leave --resume out',
    );
  }
  const provider = kernelProvider(args);
  const shortened = steps === undefined ? written : withSteps(written, steps);
  const job = provider === undefined ? shortened : withKernels(shortened, provider);
  requireLibrary(job.spec.training.kernels);
  const gpus = gpusHere(job.spec.training.kernels);
  const choice =
    text(args, 'strategy') ?? (job.spec.plan === undefined ? 'search' : storagePath(directory, job.spec.plan));
  const asked = wholeNumber(args, 'devices', 1, MAX_LOCAL_DEVICES) ?? (await plannedDevices(choice));
  const plain = thisMachine(deviceCount(job, asked, gpus.length), gpus);
  const table = (await namedTable(args)) ?? (await cachedTable());
  const costs = costsFor(table, plain, job.spec.training.optimizer.name);
  const cluster = withMeasuredLinks(plain, costs);
  say(args, `job ${job.metadata.name}: ${machineInWords(cluster, gpus)}`);
  const idle = whyGpusIdle(job.spec.training.kernels);
  if (idle !== undefined)
    process.stderr.write(`note: the NVIDIA GPU of this machine is not used: ${idle}; see docs/gpu.md\n`);
  const { training } = await loadModel(job, directory);
  const samples = await requireDatasets(job.spec, directory, training.graph);
  await requireCheckpointFolder(job, directory);
  const { model: source, training: settings } = job.spec;
  const { optimizer, wire } = settings;
  const clipsGradients = optimizer.gradientClipNorm !== undefined;
  const subject = { training, cluster, costs, optimizer: optimizer.name, wire, clipsGradients, source };
  const release = await holdCheckpoints(job, directory);
  try {
    if (flag(args, 'resume')) await foretellResume(job, directory, runIdentity(job.spec, training, samples));
    return await planAndTrain({ job, directory, metricsPort, path, choice, trace }, subject, args);
  } finally {
    await release();
  }
}

/** Says where a run that is to go on from a checkpoint begins anew. @throws {Error} where it is one of another run */
async function foretellResume({ spec }: TrainingJob, storage: string, run: RunIdentity): Promise<void> {
  const directory = storagePath(storage, spec.checkpoint!.directory);
  if ((await requireResumable(directory, run)) !== undefined) return;
  process.stderr.write(`note: ${directory} has no checkpoint to go on from: training begins with the first step\n`);
}

interface RunRequest extends Pick<LocalRunOptions, 'job' | 'directory' | 'metricsPort'> {
  /** Of the job file. */
  readonly path: string;
  /** How it is split: `search`, a baseline, or the path of a plan file. */
  readonly choice: string;
  /** Where to write a trace. */
  readonly trace: string | undefined;
}

/** @returns the exit code */
async function planAndTrain(
  { job, directory, metricsPort, path, choice, trace }: RunRequest,
  subject: PlanningProblem,
  args: Arguments,
): Promise<number> {
  const { plan } = await planBy(choice, subject, job.spec.search);
  say(args, planReport(plan, opsThatMatter(plan, subject)).trimEnd());
  if (plan.search?.stoppedBy === 'interrupted')
    process.stderr.write(
      'the search was ended: training begins by the best plan so far; Ctrl-C once more stops that too\n',
    );
  const signals = new StopSignals(() =>
    process.stderr.write(
      `\nfinishing a step${job.spec.checkpoint === undefined ? '' : ' and writing a checkpoint'}; once more to end at once\n`,
    ),
  );
  try {
    const recording = trace === undefined ? undefined : new Recording(subject, plan);
    const result = await train({ job, directory, plan, metricsPort }, args, signals, recording);
    if (trace !== undefined && recording !== undefined) {
      await writeResult(trace, encodeTrace(recording.trace()));
      say(args, `trace written to ${trace}: open it in ui.perfetto.dev`);
    }
    process.stdout.write(
      wantsJson(args)
        ? `${JSON.stringify(result)}\n`
        : resultReport(result, {
            job: shellWords([path]),
            resume: job.spec.checkpoint && resumeCommand(path, args),
            isAssumed: plan.costs?.roofline === 1,
          }),
    );
    return result.stopped === undefined ? 0 : signals.exitCode;
  } catch (error) {
    if (!signals.abort.aborted) throw error;
    const next =
      job.spec.checkpoint === undefined ? '' : `; go on from its last checkpoint: ${resumeCommand(path, args)}`;
    process.stderr.write(`soapstone: the run was ended at once${next}\n`);
    return signals.exitCode;
  } finally {
    signals.close();
  }
}

/** Options that make the rest of a run the same. */
const RESUMED_OPTIONS = ['devices', 'strategy', 'costs', 'steps', 'provider', 'tls'] as const;

/** The command that goes on with a run. */
function resumeCommand(path: string, args: Arguments): string {
  const given = RESUMED_OPTIONS.flatMap((name) => {
    const value = text(args, name);
    return value === undefined ? [] : [`--${name}`, value];
  });
  return shellWords(['soapstone', 'run', path, ...given, '--resume']);
}

async function train(
  run: Pick<LocalRunOptions, 'job' | 'directory' | 'plan' | 'metricsPort'>,
  args: Arguments,
  { stop, abort }: StopSignals,
  recording: Recording | undefined,
): Promise<RunResult> {
  const { job, plan } = run;
  const record = new RunRecord();
  const view = new TrainingView(job, record);
  const tlsFolder = text(args, 'tls');
  const end = await runLocally({
    ...run,
    resume: flag(args, 'resume'),
    ...(tlsFolder !== undefined && { tls: await readTlsFolder(tlsFolder) }),
    stop,
    signal: abort,
    record: recording && RECORDED_STEPS,
    onEvent: (device, event) => {
      record.observe(device, event);
      if (event.type === 'spans') recording?.add(device, event.spans);
      view.show(event);
    },
    onMetrics: (url) => {
      record.metrics = url;
      say(args, `metrics: ${url}`);
    },
  }).finally(() => view.close());
  return record.result(job, plan, end.kind === 'stopped' ? { step: end.step ?? 0 } : undefined);
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

function say(args: Arguments, line: string): void {
  (wantsJson(args) ? process.stderr : process.stdout).write(`${line}\n`);
}
