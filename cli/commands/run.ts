import process from 'node:process';
import type { RunIdentity } from '../../runtime/checkpoint/index-file.ts';
import { RECORDED_STEPS } from '../../runtime/program/recorder.ts';
import { storagePath } from '../../runtime/storage/storage-path.ts';
import { readTlsFolder } from '../../runtime/worker/tls-folder.ts';
import { encodeTrace } from '../../soap/explain/chrome-trace.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { flag, parseArguments, text, wantsJson, wholeNumber } from '../command-line/arguments.ts';
import type { Command } from '../command-line/command.ts';
import { shellWords } from '../command-line/shell-words.ts';
import { StopSignals } from '../command-line/stop-signals.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { requireWritable, writeResult } from '../files/result-file.ts';
import { COSTS_OPTION } from '../machine/costs.ts';
import { planBy } from '../planning/plan-by.ts';
import { opsThatMatter } from '../planning/plan-views.ts';
import { holdCheckpoints, requireResumable } from '../run/checkpoint-folder.ts';
import type { LocalRunOptions } from '../run/local-run.ts';
import { requireMetricsPort, runLocally } from '../run/local-run.ts';
import type { PreparedRun } from '../run/prepare-run.ts';
import { prepareRun } from '../run/prepare-run.ts';
import { Recording } from '../run/recording.ts';
import { resultReport } from '../run/run-report.ts';
import type { RunResult } from '../run/run-result.ts';
import { RunRecord } from '../run/run-result.ts';
import { TrainingView } from '../run/training-view.ts';
import { planReport } from '../terminal/plan-report.ts';

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

Exits 1 when training has diverged: the last loss is no number.

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
  const trace = text(args, 'trace');
  await requireWritable('trace', trace);
  const metricsPort = wholeNumber(args, 'metrics-port', 0, 65535) ?? 0;
  await requireMetricsPort(metricsPort);
  const tlsFolder = text(args, 'tls');
  const tls = tlsFolder === undefined ? undefined : await readTlsFolder(tlsFolder);
  const prepared = await prepareRun(path, args, (line) => say(args, line));
  const { job, directory, identity } = prepared;
  const release = await holdCheckpoints(job, directory);
  try {
    if (flag(args, 'resume')) await foretellResume(job, directory, identity);
    return await planAndTrain({ ...prepared, metricsPort, path, trace, ...(tls && { tls }) }, args);
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

interface RunRequest extends PreparedRun, Pick<LocalRunOptions, 'metricsPort' | 'tls'> {
  /** Of the job file. */
  readonly path: string;
  /** Where to write a trace. */
  readonly trace: string | undefined;
}

/** @returns the exit code */
async function planAndTrain(
  { job, directory, strategy, problem, metricsPort, path, trace, tls }: RunRequest,
  args: Arguments,
): Promise<number> {
  const { plan } = await planBy(strategy, problem, job.spec.search);
  say(args, planReport(plan, opsThatMatter(plan, problem)).trimEnd());
  if (plan.search?.stoppedBy === 'interrupted')
    process.stderr.write(
      'the search was ended: training begins by the best plan so far; Ctrl-C once more stops that too\n',
    );
  const signals = stopSignals(job);
  try {
    const recording = trace === undefined ? undefined : new Recording(problem, plan);
    const result = await train({ job, directory, plan, metricsPort, ...(tls && { tls }) }, args, signals, recording);
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
    if (result.stopped !== undefined) return signals.exitCode;
    return result.diverged ? 1 : 0;
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

/** Hears of Ctrl-C from now on. */
function stopSignals({ spec: { checkpoint } }: TrainingJob): StopSignals {
  return new StopSignals(() =>
    process.stderr.write(
      `\nfinishing a step${checkpoint === undefined ? '' : ' and writing a checkpoint'}; once more to end at once\n`,
    ),
  );
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
  run: Pick<LocalRunOptions, 'job' | 'directory' | 'plan' | 'metricsPort' | 'tls'>,
  args: Arguments,
  { stop, abort }: StopSignals,
  recording: Recording | undefined,
): Promise<RunResult> {
  const { job, plan } = run;
  const record = new RunRecord();
  const view = new TrainingView(job, record);
  const end = await runLocally({
    ...run,
    resume: flag(args, 'resume'),
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

function say(args: Arguments, line: string): void {
  (wantsJson(args) ? process.stderr : process.stdout).write(`${line}\n`);
}
