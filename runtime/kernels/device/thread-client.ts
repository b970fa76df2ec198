import { MessageChannel, receiveMessageOnPort, Worker } from 'node:worker_threads';
import { KernelError } from '../kernels.ts';
import type { Answer, Envelope, Id, Request, ThreadData } from './protocol.ts';
import type { DeviceProviderName } from './providers.ts';

/** How long a compilation may take, in which the event loop stands still. */
const PATIENCE_MS = 300_000;

/** The thread of a device, as other threads see it. */
export interface DeviceThread {
  /** A number for a buffer, kernel or binding that no other has. */
  newId(): Id;
  /** Asks for something, which is done after all that was asked before. @throws {KernelError} what the device says */
  ask(request: Request): Promise<void>;
  /** The same, and waits for it; the event loop stands still. @throws {KernelError} what the device says */
  askNow(request: Request): void;
  /** Asks for something whose failure is said by what comes after it. */
  tell(request: Request): void;
}

const threads = new Map<DeviceProviderName, DeviceThread>();

/**
 * The thread of a device, one in a process, which lives as long as it: every call to the library is made there, so there are
 * never two at once.
 */
export function deviceThread(provider: DeviceProviderName): DeviceThread {
  let thread = threads.get(provider);
  if (thread === undefined) {
    thread = startThread(provider);
    threads.set(provider, thread);
  }
  return thread;
}

function startThread(provider: DeviceProviderName): DeviceThread {
  const { port1: port, port2 } = new MessageChannel();
  const workerData: ThreadData = { provider, port: port2 };
  const worker = new Worker(new URL('thread.ts', import.meta.url), { workerData, transferList: [port2] });
  const pending = new Map<number, (answer: Answer) => void>();
  let [number, ids] = [0, 0];
  const settle = (answer: Answer): void => {
    pending.get(answer.number)?.(answer);
    pending.delete(answer.number);
    if (pending.size === 0) port.unref();
  };
  const post = (request: Request, settled: (answer: Answer) => void, signal?: Int32Array): void => {
    const envelope: Envelope = { number: ++number, request, ...(signal && { signal }) };
    pending.set(envelope.number, settled);
    port.ref();
    port.postMessage(envelope);
  };
  const askNow = (request: Request): void => {
    const signal = new Int32Array(new SharedArrayBuffer(4));
    const answers: Answer[] = [];
    post(request, (answer) => answers.push(answer), signal);
    if (Atomics.wait(signal, 0, 0, PATIENCE_MS) === 'timed-out') {
      throw new KernelError(`the ${provider} device has not answered for ${PATIENCE_MS / 1000} s; restart the process`);
    }
    // Answers of what was asked before come first.
    while (answers.length === 0) settle(receiveMessageOnPort(port)!.message);
    throwError(answers[0]!);
  };
  port.on('message', settle);
  worker.on('error', ({ message }) => {
    for (const id of pending.keys())
      settle({ number: id, error: `the thread of the ${provider} device failed: ${message}` });
  });
  worker.unref();
  port.unref();
  // A driver may crash when its process ends while something is under way.
  process.once('exit', () => askNow({ do: 'end' }));
  return {
    newId: () => ++ids,
    ask: (request) =>
      new Promise((resolve, reject) => {
        post(request, (answer) => {
          if (answer.error === undefined) resolve();
          else reject(new KernelError(answer.error));
        });
      }),
    askNow,
    tell: (request) => post(request, () => undefined),
  };
}

function throwError({ error }: Answer): void {
  if (error !== undefined) throw new KernelError(error);
}
