import { createServer } from 'node:net';
import process from 'node:process';
import { threadId } from 'node:worker_threads';

const HOST = '127.0.0.1';

/** Below those that the system gives to whoever asks for any port (32768 and above on Linux). */
const [FIRST, LAST] = [10_000, 32_000];
/** How many a process of tests, or a thread, has before it comes to those of another. */
const PORTS_OF_PROCESS = 100;

let next = FIRST + (((process.pid + threadId) * PORTS_OF_PROCESS) % (LAST - FIRST));

/**
 * Ports that are free, and stay it until someone is told them: files of tests run beside each other, and one that was only found
 * free can be another's before who was to have it has started.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const port = next;
    next = next + 1 < LAST ? next + 1 : FIRST;
    if (await isFree(port)) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
