import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcessByStdio } from 'node:child_process';
import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import type { Interface } from 'node:readline';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { MALLOC_SETTINGS, NODE_SETTINGS } from '../../runtime/process/process-settings.ts';
import type { Strategy } from '../../soap/strategy/strategy.ts';

/** Where a case runs: one device with all cores, or devices of one core each. */
export interface Setting {
  readonly caseName: string;
  readonly devices: number;
  readonly threads: number;
  /** What computes: a provider of kernels; anything but `cpu` lets PyTorch compute on its GPU. */
  readonly provider: string;
  /** The first that each contender uses for its own. */
  readonly port: number;
}

/** What a process says of the iterations it was asked for. */
export interface Answer {
  /** Of each iteration. */
  readonly ms: readonly number[];
  /** Of the process, over all of them. */
  readonly cpuMs: number;
  /** Spent in kernels over all of them. Only of the runtime, as what follows. */
  readonly kernelMs?: number;
  readonly residentBytes?: number;
  /** The same, with memory that several devices share divided among them. */
  readonly ownBytes?: number;
  /** Weights, gradients, optimizer state and activations, as plans count them. */
  readonly plannedBytes?: number;
}

/** A process that is told and answers; what it warns of goes where this one's warnings go. */
type Child = ChildProcessByStdio<Writable, Readable, null>;

interface ContenderProcess {
  readonly child: Child;
  readonly lines: Interface;
  /** Rejects when it has ended. */
  readonly ended: Promise<never>;
}

/** Where Node keeps what it compiled, as it does for what `npx soapstone` starts: of the first process after a change nothing is there. */
const COMPILED = join(tmpdir(), 'soapstone-bench-compiled');

/** Processes that train one case together, idle until they are asked. */
export class Contender {
  readonly #processes: readonly ContenderProcess[];

  private constructor(commands: readonly (readonly string[])[], environment: NodeJS.ProcessEnv) {
    this.#processes = commands.map(([command, ...values]) => {
      const child = spawn(command!, values, { env: environment, stdio: ['pipe', 'pipe', 'inherit'] });
      const ended = endOf(child);
      // Seen by a run that is under way; the end that stop() asks for is nobody's failure.
      ended.catch(() => undefined);
      return { child, lines: createInterface({ input: child.stdout }), ended };
    });
  }

  /** The runtime under a strategy, its processes started as a worker starts them. */
  static soapstone(setting: Setting, strategy: Strategy): Contender {
    const program = fileURLToPath(new URL('device.ts', import.meta.url));
    const { caseName, devices, port, threads, provider } = setting;
    const commands = pinned(setting, (device) => [
      process.execPath,
      ...NODE_SETTINGS,
      program,
      ...[caseName, device, devices, port, threads, provider].map(String),
      JSON.stringify(strategy),
    ]);
    return new Contender(commands, { NODE_COMPILE_CACHE: COMPILED, ...process.env, ...MALLOC_SETTINGS });
  }

  /** PyTorch, with DDP and gloo on several devices. */
  static torch(python: string, setting: Setting): Contender {
    const program = fileURLToPath(new URL('torch_device.py', import.meta.url));
    const { caseName, devices, port, threads, provider } = setting;
    const where = provider === 'cpu' ? 'cpu' : 'cuda';
    const commands = pinned(setting, (device) => [
      python,
      program,
      ...[caseName, device, devices, port, threads, where].map(String),
    ]);
    return new Contender(commands, process.env);
  }

  /** Runs iterations on every process. Returns what each answers. @throws {Error} where one ended */
  async run(iterations: number): Promise<Answer[]> {
    return Promise.all(
      this.#processes.map(async ({ child, lines, ended }) => {
        const answer = once(lines, 'line');
        child.stdin.write(`${iterations}\n`);
        const [line]: unknown[] = await Promise.race([answer, ended]);
        const told: Answer = JSON.parse(String(line));
        return told;
      }),
    );
  }

  stop(): void {
    for (const { child } of this.#processes) child.kill();
  }
}

/** Rejects when a process has ended; one listener serves all its runs. */
async function endOf(child: Child): Promise<never> {
  const [code]: unknown[] = await once(child, 'exit');
  throw new Error(`${child.spawnargs.join(' ')} ended with code ${String(code)}`);
}

/** A Python that has torch, and which torch: its version, BLAS and instruction set. */
export interface Torch {
  readonly python: string;
  readonly version: string;
}

const VERSION = `
import re, torch
config = torch.__config__.show()
found = [re.search(pattern, config) for pattern in (r'BLAS_INFO=(\\w+)', r'CPU capability usage: (\\w+)')]
print(torch.__version__, 'BLAS', *[match[1] for match in found if match])`;

/** The given Python, or the first on the path, or Debian's with python3-torch; undefined where none has torch. */
export function findTorch(given?: string): Torch | undefined {
  for (const python of given === undefined ? ['python3', '/usr/bin/python3'] : [given]) {
    const { status, stdout } = spawnSync(python, ['-c', VERSION], { encoding: 'utf8' });
    if (status === 0) return { python, version: stdout.trim() };
  }
  return undefined;
}

/** Several devices get a core each. */
function pinned({ devices }: Setting, command: (device: number) => string[]): string[][] {
  return Array.from({ length: devices }, (_, device) =>
    devices === 1 ? command(device) : ['taskset', '-c', String(device), ...command(device)],
  );
}
