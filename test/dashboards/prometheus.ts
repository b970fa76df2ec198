import type { ChildProcess } from 'node:child_process';
import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { FULL_RUN } from '../support/full-run.ts';
import { freePorts } from '../support/ports.ts';

/** Where Debian's package puts it. */
const FOLDER = '/usr/bin';
const START_TIMEOUT_MS = 30_000;

const isThere = ['prometheus', 'promtool'].every((name) => existsSync(join(FOLDER, name)));

/** Whether tests with Prometheus run: where all tests are asked for they must. */
export const HAS_PROMETHEUS: boolean = isThere || FULL_RUN;

/** Runs promtool. @throws {Error} with what it has to say, where it is not content */
export async function promtool(...args: string[]): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(join(FOLDER, 'promtool'), args);
    return stdout;
  } catch (error) {
    const { stdout = '', stderr = '' }: { stdout?: unknown; stderr?: unknown } = Object(error);
    throw new Error(`promtool ${args.join(' ')}: ${String(stdout)}${String(stderr)}`, { cause: error });
  }
}

/** A series that a query gave: its labels, and values with the seconds since the epoch that they are of. */
export interface Answer {
  readonly labels: Readonly<Record<string, string>>;
  readonly values: readonly (readonly [seconds: number, value: number])[];
}

/** A Prometheus that scrapes. */
export interface Prometheus {
  /** The values of a query now. */
  query(expr: string): Promise<Answer[]>;
  /** The values of a query over the seconds before now, one a second. */
  queryRange(expr: string, seconds: number): Promise<Answer[]>;
  stop(): Promise<void>;
}

interface Response {
  readonly status: string;
  readonly error?: string;
  readonly data?: {
    readonly result: readonly {
      readonly metric: Record<string, string>;
      readonly value?: [number, string];
      readonly values?: [number, string][];
    }[];
  };
}

/** Starts a Prometheus that scrapes every second. @param scrapes its `scrape_configs` */
export async function startPrometheus(scrapes: readonly object[]): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-prometheus-'));
  const config = join(folder, 'prometheus.yml');
  await writeFile(config, stringify({ global: { scrape_interval: '1s' }, scrape_configs: scrapes }));
  const [port = 0] = await freePorts(1);
  const url = `http://127.0.0.1:${port}`;
  const child = spawn(
    join(FOLDER, 'prometheus'),
    [
      `--config.file=${config}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let said = '';
  child.stderr.on('data', (data: Buffer) => (said += data.toString()));
  const stop = async (): Promise<void> => {
    await end(child);
    await rm(folder, { recursive: true, force: true });
  };
  const ask = async (path: string, parameters: Readonly<Record<string, string>>): Promise<Answer[]> => {
    const response = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(parameters).toString()}`);
    const answer: Response = JSON.parse(await response.text());
    if (answer.data === undefined || answer.status !== 'success')
      throw new Error(`${parameters['query']}: ${answer.error ?? response.status}`);
    return answer.data.result.map(({ metric, value, values }) => ({
      labels: metric,
      values: (values ?? (value === undefined ? [] : [value])).map(([seconds, text]) => [seconds, Number(text)]),
    }));
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (
    !(await fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (performance.now() < deadline && child.exitCode === null) await sleep(100);
    else {
      await stop();
      throw new Error(`prometheus did not start: ${said}`);
    }
  }
  return {
    query: (query) => ask('query', { query }),
    queryRange: (query, seconds) => {
      const now = Date.now() / 1000;
      return ask('query_range', { query, start: String(now - seconds), end: String(now), step: '1' });
    },
    stop,
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}
