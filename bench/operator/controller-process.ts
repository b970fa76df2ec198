import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import process from 'node:process';
import { freePorts } from '../../test/support/ports.ts';

const MAIN = new URL('../../operator/main.ts', import.meta.url).pathname;

/** Linux counts CPU time in ticks of 10 ms. */
const TICKS_PER_SEC = 100;

/**
 * As in the Dockerfile and in `npm run controller`. On a machine with much memory V8 would let young objects take 134 MB, and the
 * old ones grow to several times what is alive, before it looks which are dead.
 */
export const MEMORY_FLAGS: readonly string[] = ['--max-semi-space-size=4', '--heap-growing-percent=30'];

/** A controller in a process of its own, as its pod runs it. */
export interface ControllerProcess {
  readonly pid: number;
  /** Seconds of CPU time since its start. */
  cpuSeconds(): Promise<number>;
  residentBytes(): Promise<number>;
  /** The most that was resident at any time. */
  peakBytes(): Promise<number>;
  /** The upper bound, in the metric's unit, of the bucket that a quantile of a histogram is in. */
  quantile(name: string, part: number): Promise<string>;
  /** The value of a metric, by the start of its line. */
  metric(line: string): Promise<number>;
  /** Its metrics as they are served. */
  metrics(): Promise<string>;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts a controller, or another program that takes a port and serves the same, and waits until it is ready. */
export async function startControllerProcess(kubeconfig: string, program?: string): Promise<ControllerProcess> {
  const [port] = await freePorts(1);
  const args =
    program === undefined ? [MAIN, `--metrics-port=${port}`, '--metrics-host=127.0.0.1'] : [program, `${port}`];
  const child = spawn(process.execPath, [...MEMORY_FLAGS, ...args], {
    env: { ...process.env, KUBECONFIG: kubeconfig },
    stdio: 'ignore',
  });
  const endWithUs = (): void => void child.kill('SIGKILL');
  process.once('exit', endWithUs);
  child.once('exit', () => process.off('exit', endWithUs));
  const url = `http://127.0.0.1:${port}`;
  while (
    !(await fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null) throw new Error(`the controller ended with code ${child.exitCode}`);
    await sleep(50);
  }
  const metrics = async (): Promise<string> => (await fetch(`${url}/metrics`)).text();
  return {
    pid: child.pid!,
    cpuSeconds: () => cpuSeconds(child.pid!),
    residentBytes: () => memoryBytes(child.pid!, 'VmRSS'),
    peakBytes: () => memoryBytes(child.pid!, 'VmHWM'),
    quantile: async (name, part) => quantile(await metrics(), name, part),
    metrics,
    metric: async (line) =>
      Number(
        (await metrics())
          .split('\n')
          .find((each) => each.startsWith(line))
          ?.split(' ')
          .at(-1) ?? Number.NaN,
      ),
    kill: (signal) => kill(child, signal),
  };
}

async function kill(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill(signal);
  await gone;
}

async function cpuSeconds(pid: number): Promise<number> {
  const fields = (await readFile(`/proc/${pid}/stat`, 'utf8')).split(') ')[1]?.split(' ') ?? [];
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SEC;
}

async function memoryBytes(pid: number, field: 'VmRSS' | 'VmHWM'): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(new RegExp(`${field}:\\s+(\\d+) kB`).exec(text)?.[1]) * 1024;
}

function quantile(text: string, name: string, part: number): string {
  const buckets = [...text.matchAll(new RegExp(`^${name}_bucket\\{le="([^"]+)".*\\} (\\d+)$`, 'gm'))];
  const all = Number(buckets.at(-1)?.[2]);
  return buckets.find(([, , count]) => Number(count) >= part * all)?.[1] ?? '?';
}
