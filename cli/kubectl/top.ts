import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { MAX_TIMER_SECONDS } from '../../soap/timers.ts';
import { flag, parseArguments, positiveNumber, wantsJson } from '../command-line/arguments.ts';
import type { Command } from '../command-line/command.ts';
import { UsageError } from '../command-line/usage-error.ts';
import type { Access } from './access.ts';
import { ACCESS_HELP, ACCESS_OPTIONS, openCluster } from './access.ts';
import { listJobResources, readJobResource } from './job-objects.ts';
import type { Measured } from './measure.ts';
import { measureJob } from './measure.ts';
import type { JobReading } from './top-view.ts';
import { jobsText, jobText } from './top-view.ts';

const HELP = `kubectl soapstone top [JOB] [options]: steps, loss, throughput and times of running jobs, or of one with its devices

  -A, --all-namespaces  jobs of all namespaces
  --interval S        seconds between readings on a terminal, default 2
  --once              one reading; always where the output is no terminal
  --output FORM       text (default) or json, of one reading
${ACCESS_HELP}
Measured values are read from the pods' metrics through the API server (the right get on pods/proxy); where that is not allowed
or the job's NetworkPolicy keeps the API server out, a line says so and the rest is shown. Ctrl-C ends it.
example: kubectl soapstone top
         kubectl soapstone top mnist --interval 5
`;

const OPTIONS = {
  ...ACCESS_OPTIONS,
  'all-namespaces': { type: 'boolean', short: 'A' },
  interval: { type: 'string' },
  once: { type: 'boolean' },
  output: { type: 'string' },
} as const;

const DEFAULT_INTERVAL_SECONDS = 2;
/** Jobs whose pods are asked at once. */
const CONCURRENCY = 8;
/** The screen's upper left corner, and nothing below. */
const CLEAR = '\u001B[H\u001B[J';
const ENDED = new Set(['Complete', 'Failed', 'Invalid']);

export const topCommand: Command = {
  name: 'top',
  summary: 'watch steps, loss, throughput, measured and predicted times',
  help: HELP,
  async run(args) {
    const parsed = parseArguments(args, OPTIONS, 'top', 'kubectl soapstone');
    const [name, ...surplus] = parsed.positionals;
    if (surplus.length > 0) throw new UsageError('top expects at most one job: kubectl soapstone top [JOB]');
    const all = flag(parsed, 'all-namespaces');
    const seconds = positiveNumber(parsed, 'interval', MAX_TIMER_SECONDS) ?? DEFAULT_INTERVAL_SECONDS;
    const access = openCluster(parsed);
    const shown = (readings: readonly JobReading[]): string =>
      name === undefined ? jobsText(readings, all) : readings.map(jobText).join('');
    const live = process.stdout.isTTY && !flag(parsed, 'once') && !wantsJson(parsed);
    let before = new Map<string, Measured>();
    while (true) {
      const readings = await read(access, name, all, before);
      if (!live) {
        process.stdout.write(wantsJson(parsed) ? `${JSON.stringify(readings.map(asJson))}\n` : shown(readings));
        return 0;
      }
      process.stdout.write(`${CLEAR}${shown(readings)}`);
      if (name !== undefined && readings.every(({ resource }) => ENDED.has(resource.status?.state ?? ''))) return 0;
      before = new Map(readings.flatMap(({ resource, measured }) => (measured ? [[keyOf(resource), measured]] : [])));
      await sleep(1000 * seconds);
    }
  },
};

async function read(
  access: Access,
  name: string | undefined,
  all: boolean,
  before: ReadonlyMap<string, Measured>,
): Promise<JobReading[]> {
  const resources = name === undefined ? await listJobResources(access, all) : [await readJobResource(access, name)];
  const readings: JobReading[] = [];
  for (let first = 0; first < resources.length; first += CONCURRENCY) {
    const some = resources.slice(first, first + CONCURRENCY);
    const measured = await Promise.all(some.map((resource) => measureJob(access, resource)));
    readings.push(...some.map((resource, i) => ({ resource, ...measured[i], before: before.get(keyOf(resource)) })));
  }
  return readings;
}

function keyOf({ metadata }: JobReading['resource']): string {
  return `${metadata.namespace}/${metadata.name}/${metadata.uid}`;
}

function asJson({ resource: { metadata, status }, measured, unreachable }: JobReading): object {
  const { namespace, name } = metadata;
  return {
    namespace,
    name,
    state: status?.state,
    predicted: status?.iteration,
    devices: status?.devices,
    measured,
    unreachable,
  };
}
