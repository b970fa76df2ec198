import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRandom } from '../../soap/random.ts';
import { BenchApi } from './api.ts';
import type { ControllerProcess } from './controller-process.ts';
import { startControllerProcess } from './controller-process.ts';
import { FAULTS, proxied } from './faults.ts';
import { FaultyProxy } from './faulty-proxy.ts';
import type { Row, Server } from './row.ts';
import { createJob, secondsUntilStatus } from './world.ts';

const PROGRAM = new URL('hasty-controller.ts', import.meta.url).pathname;
const LONGEST_FAULT_MS = 60;
const LIMIT_MS = 60_000;
/** Longer than any time limit of a request, which its timer keeps. */
const REST_MS = 65_000;
/** Jobs, nodes and pods; the test's API server has none of the other kinds. */
const WATCHES = 3;
/** Of a round that has a job too, so that visits meet the faults. */
const JOB_EVERY = 20;
/** Rounds before the first measurement: caches, compiled code and connection pools have come to their size by then. */
const WARM_UP = 200;

interface Use {
  readonly heapBytes: number;
  readonly residentBytes: number;
  readonly files: number;
  readonly handles: number;
}

/** Lets the API server fail so many times, in every way; memory, open files and handles of the controller before and after. */
export async function faultRounds(
  server: Server,
  folder: string,
  rounds: number,
  restMs: number = REST_MS,
): Promise<Row[]> {
  const proxy = new FaultyProxy(server.kubeConfig.getCurrentCluster()?.server ?? '');
  await proxy.start();
  const path = join(folder, 'rounds.json');
  await writeFile(path, proxied(server.kubeConfig, proxy.url));
  const api = new BenchApi(server.kubeConfig);
  const controller = await startControllerProcess(path, PROGRAM);
  const random = createRandom(1);
  await until(() => proxy.openWatches >= WATCHES, 'the first watches stand');
  const uses: Use[] = [];
  try {
    for (let round = 0; round < rounds; round++) {
      if (round === Math.min(WARM_UP, rounds / 2)) uses.push(await useOf(controller, restMs));
      await proxy.set(FAULTS[random.integer(FAULTS.length)]!);
      if (round % JOB_EVERY === 0) await createJob(api, `round-${round}`, { suspend: true });
      await sleep(random.integer(LONGEST_FAULT_MS));
      await proxy.set('none');
      await until(() => proxy.openWatches >= WATCHES, `the watches stand again after round ${round}`);
      if (round % JOB_EVERY === 0) await secondsUntilStatus(api, `round-${round}`, LIMIT_MS / 1000);
    }
    uses.push(await useOf(controller, restMs));
    const [before, after] = uses;
    if (before === undefined || after === undefined) throw new Error('there are no two measurements');
    const megabytes = ({ heapBytes, residentBytes }: Use): string =>
      `${(heapBytes / 1e6).toFixed(1)} MB of heap, ${(residentBytes / 1e6).toFixed(0)} MB resident`;
    const open = ({ files, handles }: Use): string => `${files} open files, ${handles} handles`;
    return [
      {
        case: `${rounds} rounds of failures, one process`,
        result: `before (after ${Math.min(WARM_UP, rounds / 2)} rounds): ${megabytes(before)}, ${open(before)}; after: ${megabytes(after)}, ${open(after)}`,
        measured: { ...named('before', before), ...named('after', after) },
      },
    ];
  } finally {
    await controller.kill('SIGKILL');
    await proxy.stop();
    api.close();
  }
}

function named(when: string, use: Use): Record<string, number> {
  return Object.fromEntries(Object.entries(use).map(([name, value]) => [`${when} ${name}`, value]));
}

/** After a while of rest, since connections are kept for the next request; of the heap what is held, garbage collected. */
async function useOf(controller: ControllerProcess, restMs: number): Promise<Use> {
  await sleep(restMs);
  process.kill(controller.pid, 'SIGUSR2');
  await sleep(1000);
  return {
    heapBytes: await controller.metric('nodejs_heap_size_used_bytes'),
    residentBytes: await controller.residentBytes(),
    files: (await readdir(`/proc/${controller.pid}/fd`)).length,
    handles: await controller.metric('nodejs_active_resources_total'),
  };
}

async function until(condition: () => boolean, what: string): Promise<void> {
  const endMs = performance.now() + LIMIT_MS;
  while (!condition()) {
    if (performance.now() > endMs) throw new Error(`never came true: ${what}`);
    await sleep(5);
  }
}
