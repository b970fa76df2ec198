import { Writable } from 'node:stream';
import { StringDecoder } from 'node:string_decoder';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { Log } from '@kubernetes/client-node';
import { flag, parseArguments, wantsJson, wholeNumber } from '../arguments.ts';
import type { Command } from '../commands/command.ts';
import type { Access } from './access.ts';
import { ACCESS_HELP, ACCESS_OPTIONS, ask, openCluster } from './access.ts';
import { readJobResource, readPods } from './job-objects.ts';
import type { LogLine } from './log-lines.ts';
import { LineSplitter, mergeByTime, Prefixes, stampedLines, timeOfDay } from './log-lines.ts';
import { oneJob } from './one-job.ts';
import { readableLine } from './readable-line.ts';

const HELP = `kubectl soapstone logs JOB [options]: the logs of a job's pods, merged by time, each line with its pod before it

  -f, --follow        go on with what is written, until the pods end
  --tail N            the last N lines of each pod, default all
  --attempt N         of an earlier attempt, as long as its pods are there; default the current one
  --timestamps        with the date and time of each line
  --output FORM       text (default): what devices tell in words, with the time of day, and all else as it is; or json: lines as
                      the pods wrote them
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
  timestamps: { type: 'boolean' },
  output: { type: 'string' },
} as const;

/** The container of the runtime, as operator/decide/pods.ts names it. */
const CONTAINER = 'worker';
const CONCURRENCY = 8;
const START_POLL_MS = 500;

/** Which lines, and how they are shown. */
interface LogSettings {
  readonly tailLines: number | undefined;
  readonly timestamps: boolean;
  /** Lines as the pods wrote them. */
  readonly raw: boolean;
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
      timestamps: flag(parsed, 'timestamps'),
      raw: wantsJson(parsed),
    };
    const access = openCluster(parsed);
    const { status } = await readJobResource(access, name);
    const attempt = wholeNumber(parsed, 'attempt', 0, Number.MAX_SAFE_INTEGER) ?? status?.attempt ?? 0;
    const pods = await readPods(access, access.namespace, name, attempt);
    if (pods.length === 0) {
      const { state = 'New', message = 'the controller has not seen it yet' } = status ?? {};
      throw new Error(
        `attempt ${attempt} of ${access.namespace}/${name} has no pods: the job is ${state} (${message})`,
      );
    }
    const prefixes = new Prefixes(pods.map(nameOf), process.stdout.isTTY && process.env['NO_COLOR'] === undefined);
    const print = (line: LogLine): void => {
      process.stdout.write(`${prefixes.of(line.pod)}${lineText(line, settings)}\n`);
    };
    if (flag(parsed, 'follow')) await Promise.all(pods.map((pod) => follow(access, nameOf(pod), settings, print)));
    else for (const line of mergeByTime(await readLogs(access, pods, settings))) print(line);
    return 0;
  },
};

/** What is shown of a line behind its pod. */
export function lineText({ time, text }: LogLine, { timestamps, raw }: Omit<LogSettings, 'tailLines'>): string {
  const shown = raw ? undefined : readableLine(text);
  if (timestamps) return `${time} ${shown ?? text}`;
  return shown === undefined ? text : `${timeOfDay(time)} ${shown}`;
}

function nameOf({ metadata }: V1Pod): string {
  return metadata?.name ?? '';
}

async function readLogs(access: Access, pods: readonly V1Pod[], { tailLines }: LogSettings): Promise<LogLine[][]> {
  const { core, namespace } = access;
  const started = pods.filter(({ status }) => status?.phase !== 'Pending').map(nameOf);
  const logs: LogLine[][] = [];
  for (let first = 0; first < started.length; first += CONCURRENCY) {
    const some = started.slice(first, first + CONCURRENCY).map(async (name) => {
      const options = { name, namespace, container: CONTAINER, timestamps: true };
      const text = await ask(`the log of pod ${namespace}/${name}`, () =>
        core.readNamespacedPodLog({ ...options, ...(tailLines === undefined ? {} : { tailLines }) }),
      );
      return stampedLines(name, text);
    });
    logs.push(...(await Promise.all(some)));
  }
  return logs;
}

/** Prints what a pod writes, from its start to its end. */
async function follow(
  access: Access,
  pod: string,
  { tailLines }: LogSettings,
  print: (line: LogLine) => void,
): Promise<void> {
  const { config, core, namespace } = access;
  const phase = async (): Promise<string | undefined> =>
    (await ask(`pod ${namespace}/${pod}`, () => core.readNamespacedPod({ name: pod, namespace }))).status?.phase;
  while ((await phase()) === 'Pending') await sleep(START_POLL_MS);
  const lines = new LineSplitter((text) => stampedLines(pod, text).forEach(print));
  const decoder = new StringDecoder('utf8');
  const stream = new Writable({
    write: (chunk: Buffer, _encoding, done) => {
      lines.add(decoder.write(chunk));
      done();
    },
  });
  const options = { follow: true, timestamps: true, ...(tailLines === undefined ? {} : { tailLines }) };
  const ended = new Promise<void>((resolve) => stream.once('close', resolve));
  await ask(`the log of pod ${namespace}/${pod}`, () =>
    new Log(config).log(namespace, pod, CONTAINER, stream, options),
  );
  await ended;
  lines.end();
}
