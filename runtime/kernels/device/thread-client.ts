import process from 'node:process';
import type { MessagePort } from 'node:worker_threads';
import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { KernelError } from '../kernels.ts';
import type { Answer, Envelope, Id, Request, ThreadData } from './protocol.ts';
import type { DeviceProviderName } from './providers.ts';

/** How long the thread may take to start: loading some files, on a machine that may be busy. */
const START_MS = 60_000;
/** How long a compilation may take, in which the event loop stands still. */
const PATIENCE_MS = 300_000;
/** How long a process that ends waits for what is under way: peers and the worker wait for its end. */
const FAREWELL_MS = 3000;

/** By provider and GPU. */
const threads = new Map<string, DeviceThread>();

/**
 * The thread of a device, one in a process, which lives as long as it: every call to the library is made there, so there are
 * never two at once.
 */
export function deviceThread(provider: DeviceProviderName, gpu: number): DeviceThread {
  const key = `${provider} ${gpu}`;
  let thread = threads.get(key);
  if (thread === undefined) {
    thread = new DeviceThread(provider, gpu);
    threads.set(key, thread);
  }
  return thread;
}

/** The thread of a device, as others see it. What they ask for is done one after the other, in the order of asking. */
export class DeviceThread {
  readonly #port: MessagePort;
  readonly #provider: DeviceProviderName;
  readonly #started = new Int32Array(new SharedArrayBuffer(4));
  readonly #pending = new Map<number, (answer: Answer) => void>();
  #requests = 0;
  #ids = 0;
  /** Why the thread has ended. */
  #failure: string | undefined;

  constructor(provider: DeviceProviderName, gpu: number) {
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#provider = provider;
    const workerData: ThreadData = { provider, gpu, port: port2, started: this.#started };
    const options = { workerData, transferList: [port2], execArgv: importsOf(process.execArgv) };
    const worker = new Worker(new URL('thread.ts', import.meta.url), options);
    port1.on('message', (answer: Answer) => this.#settle(answer));
    worker.on('error', ({ message }) => this.#fail(`the thread of the ${provider} device failed: ${message}`));
    worker.unref();
    port1.unref();
    process.once('exit', () => this.#leave());
  }

  /** A number for a buffer, kernel or binding that no other has. */
  newId(): Id {
    return ++this.#ids;
  }

  /** @throws {KernelError} what the device says */
  async ask(request: Request): Promise<void> {
    const answer = await new Promise<Answer>((resolve) => {
      this.#post(request, resolve);
    });
    throwError(answer);
  }

  /** Asks for something whose failure is said by what comes after it. */
  tell(request: Request): void {
    this.#post(request, () => undefined);
  }

  /** Waits for the answer, while the event loop stands still. @throws {KernelError} what the device says */
  askNow(request: Request, patienceMs: number = PATIENCE_MS): void {
    this.#awaitStart(patienceMs);
    const signal = new Int32Array(new SharedArrayBuffer(4));
    const answers: Answer[] = [];
    this.#post(request, (answer) => answers.push(answer), signal);
    if (answers.length === 0 && Atomics.wait(signal, 0, 0, patienceMs) === 'timed-out') {
      throw new KernelError(`the device has not answered for ${patienceMs / 1000} s; start the process again`);
    }
    // Answers of what was asked before come first.
    while (answers.length === 0) this.#settle(receiveMessageOnPort(this.#port)!.message);
    throwError(answers[0]!);
  }

  /** A thread that fails to start says so by an event, which cannot come while the event loop stands still. */
  #awaitStart(patienceMs: number): void {
    if (this.#failure !== undefined) throw new KernelError(this.#failure);
    const limitMs = Math.min(START_MS, patienceMs);
    if (Atomics.wait(this.#started, 0, 0, limitMs) === 'timed-out') {
      throw new KernelError(
        `the thread of the ${this.#provider} device has not started within ${limitMs / 1000} s; start the process again, or run with --provider cpu`,
      );
    }
  }

  #post(request: Request, settled: (answer: Answer) => void, signal?: Int32Array): void {
    const envelope: Envelope = { number: ++this.#requests, request, ...(signal && { signal }) };
    if (this.#failure !== undefined) {
      settled({ number: envelope.number, error: this.#failure });
      return;
    }
    this.#pending.set(envelope.number, settled);
    this.#port.ref();
    this.#port.postMessage(envelope);
  }

  #settle(answer: Answer): void {
    this.#pending.get(answer.number)?.(answer);
    this.#pending.delete(answer.number);
    if (this.#pending.size === 0) this.#port.unref();
  }

  #fail(error: string): void {
    this.#failure = error;
    for (const number of this.#pending.keys()) this.#settle({ number, error });
  }

  /** A driver may crash when its process ends while something is under way. */
  #leave(): void {
    try {
      this.askNow({ do: 'end' }, FAREWELL_MS);
    } catch (error) {
      if (!(error instanceof KernelError)) throw error;
    }
  }
}

/** Of the flags of this process, what it imports first; with others, such as -e, Node starts no thread from a file. */
function importsOf(flags: readonly string[]): string[] {
  return flags.flatMap((flag, i) => {
    if (flag.startsWith('--import=')) return [flag];
    return flag === '--import' ? [flag, flags[i + 1]!] : [];
  });
}

function throwError({ error }: Answer): void {
  if (error !== undefined) throw new KernelError(error);
}
