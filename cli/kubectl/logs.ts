import process from 'node:process';
import type { V1Pod } from '@kubernetes/client-node';
import type { TrainingJobResource } from '../../operator/api/resource.ts';
import { plainLine } from '../../soap/plain-text.ts';
import { flag, parseArguments, text, wantsJson, wholeNumber } from '../command-line/arguments.ts';
import type { Command } from '../command-line/command.ts';
import type { Access } from './access.ts';
import { ACCESS_HELP, ACCESS_OPTIONS, ask, openCluster } from './access.ts';
import { CONTAINER, followLog } from './follow-log.ts';
import { readJobResource, readPods } from './job-objects.ts';
import type { LogLine } from './log-lines.ts';
import { mergeByTime, Prefixes, stampedLines, timeOfDay } from './log-lines.ts';
import { oneJob } from './one-job.ts';
import { oneLine } from '../terminal/printable.ts';
import { readableLine } from './readable-line.ts';
import { messageOf } from '../../soap/message-of.ts';

const HELP = `kubectl soapstone logs JOB [options]: the logs of a job's pods, merged by time, each line with its pod before it

  -f, --follow        go on with what is written, until the pods end
  --tail N            the last N lines of each pod, default all
  --attempt N         of an earlier attempt; of one whose pods are deleted, what the controller kept; default the current one
  -c, --container N   of another container that spec.template brings, one that runs before the runtime too; default worker
  --timestamps        with the date and time of each line
  --output FORM       text (default): what devices tell in words, with the time of day, and all else as it is, without colours and
                      what else a terminal would act upon; or json: lines as the pods wrote them
${ACCESS_HELP}
Prefixes are coloured on a terminal, unless NO_COLOR is set.
example: kubectl soapstone logs mnist --tail 20
         kubectl soapstone logs mnist -f
`;

const OPTIONS = {
  ...ACCESS_OPTIONS,
  follow: { type: 'boolean', short: 'f' },
  tail: { type: 'string' },
  attempt: { type: 'string' },
  container: { type: 'string', short: 'c' },
  timestamps: { type: 'boolean' },
  output: { type: 'string' },
} as const;

const CONCURRENCY = 8;

/** Which lines, and how they are shown. */
interface LogSettings {
  readonly tailLines: number | undefined;
  /** Of each pod. */
  readonly container: string;
  readonly timestamps: boolean;
  /** Lines as the pods wrote them. */
  readonly raw: boolean;
  /** Whether they go to a terminal, which acts upon what programs may write. */
  readonly terminal: boolean;
}

export const logsCommand: Command = {
  name: 'logs',
  summary: "show or follow the logs of a job's pods, merged",
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'logs', 'kubectl soapstone');
    const name = oneJob(parsed, 'logs');
    const settings = {
      tailLines: wholeNumber(parsed, 'tail', 1, Number.MAX_SAFE_INTEGER),
      container: text(parsed, 'container') ?? CONTAINER,
      timestamps: flag(parsed, 'timestamps'),
      raw: wantsJson(parsed),
      terminal: process.stdout.isTTY,
    };
    const access = openCluster(parsed);
    const { status } = await readJobResource(access, name);
    const attempt = wholeNumber(parsed, 'attempt', 0, Number.MAX_SAFE_INTEGER) ?? status?.attempt ?? 0;
    const pods = await readPods(access, access.namespace, name, attempt);
    if (pods.length === 0) {
      printKept(status, attempt, `${access.namespace}/${name}`);
      return 0;
    }
    const prefixes = new Prefixes(pods.map(nameOf), process.stdout.isTTY && process.env['NO_COLOR'] === undefined);
    const print = (line: LogLine): void => {
      process.stdout.write(`${prefixes.of(line.pod)}${lineText(line, settings)}\n`);
    };
    if (flag(parsed, 'follow')) await followAll(access, pods.map(nameOf), settings, print);
    else for (const line of mergeByTime(await readLogs(access, pods, settings))) print(line);
    return 0;
  },
};

/**
 * Prints what the controller kept of an attempt whose pods are deleted.
 * @throws {Error} a sentence where that is nothing
 */
function printKept(status: TrainingJobResource['status'], attempt: number, job: string): void {
  const kept = status?.restarts?.find((each) => each.attempt === attempt);
  if (kept === undefined) {
    const { state = 'New', message = 'the controller has not seen it yet', restarts = [] } = status ?? {};
    const [last] = restarts;
    const others =
      last === undefined ? '' : `; what ended attempt ${last.attempt} is kept: see --attempt ${last.attempt}`;
    throw new Error(`attempt ${attempt} of ${job} has no pods: the job is ${state} (${oneLine(message)})${others}`);
  }
  const { time, reason, message, log } = kept;
  note(`the pods of attempt ${attempt} of ${job} are deleted; this is what is kept of them since ${time} (${reason})`);
  const lines = [message, ...(log?.split('\n') ?? [])];
  process.stdout.write(lines.map((line) => `${plainLine(line)}\n`).join(''));
}

/** What is shown of a line behind its pod: of other programs what they wrote, without what a terminal would act upon. */
export function lineText(
  { time, text }: LogLine,
  { timestamps, raw, terminal }: Pick<LogSettings, 'timestamps' | 'raw' | 'terminal'>,
): string {
  const written = raw && !terminal ? text : plainLine(text);
  const shown = raw ? undefined : readableLine(written);
  if (timestamps) return `${time} ${shown ?? written}`;
  return shown === undefined ? written : `${timeOfDay(time)} ${shown}`;
}

function nameOf({ metadata }: V1Pod): string {
  return metadata?.name ?? '';
}

/** Follows all of them; one that cannot be followed does not end the others. */
async function followAll(
  access: Access,
  pods: readonly string[],
  { tailLines, container }: LogSettings,
  print: (line: LogLine) => void,
): Promise<void> {
  const options = { tailLines, container, print, note };
  const outcomes = await Promise.allSettled(pods.map((pod) => followLog(access, pod, options)));
  const failures = outcomes.flatMap((each) => (each.status === 'rejected' ? [messageOf(each.reason)] : []));
  if (failures.length > 0) throw new Error(failures.join('; '));
}

/** The logs of the pods that can be had: a node that is lost does not hide the others. */
async function readLogs(
  access: Access,
  pods: readonly V1Pod[],
  { tailLines, container }: LogSettings,
): Promise<LogLine[][]> {
  const { core, namespace } = access;
  const started = pods.filter(({ status }) => status?.phase !== 'Pending').map(nameOf);
  const logs: LogLine[][] = [];
  const failures: unknown[] = [];
  for (let first = 0; first < started.length; first += CONCURRENCY) {
    const some = started.slice(first, first + CONCURRENCY).map(async (name) => {
      const options = { name, namespace, container, timestamps: true };
      const text = await ask(`the log of pod ${namespace}/${name}`, () =>
        core.readNamespacedPodLog({ ...options, ...(tailLines === undefined ? {} : { tailLines }) }),
      );
      return stampedLines(name, text);
    });
    for (const outcome of await Promise.allSettled(some)) {
      if (outcome.status === 'fulfilled') logs.push(outcome.value);
      else failures.push(outcome.reason);
    }
  }
  if (logs.length === 0 && failures.length > 0) throw failures[0];
  for (const failure of failures) note(messageOf(failure));
  return logs;
}

function note(sentence: string): void {
  process.stderr.write(`note: ${sentence}\n`);
}
