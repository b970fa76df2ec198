import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import process from 'node:process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { V1Pod } from '@kubernetes/client-node';
import { createRandom } from '../../../soap/random.ts';
import type { Play, World } from './world.ts';
import { startWorld } from './world.ts';

const MAIN = new URL('../../../operator/main.ts', import.meta.url).pathname;
/** Longer than the life of a job, so that kills come at every point of it. */
const LONGEST_LIFE_MS = 6000;
const NODES = 4;
/** There is never a second controller; without a lease the next one need not wait for that of the dead. */
const ALONE = { SOAPSTONE_LEADER_ELECTION: 'false', SOAPSTONE_PROFILE_PODS: 'false' };

/** What was seen while the controller was killed again and again. */
export interface KillReport {
  readonly kills: number;
  readonly jobs: number;
  /** Jobs that ended as every one of them must: Complete, in their second attempt. */
  readonly complete: number;
  /** Moments at which pods of two attempts of one job were there and not being deleted. */
  readonly doubled: readonly string[];
  /** Pods whose job is gone or over and that still hold devices. */
  readonly orphans: readonly string[];
}

/** The first attempt of every job loses a pod, the second trains to the end. */
const play: Play = ({ metadata }) => {
  const attempt = Number(metadata?.labels?.['soapstone.dev/attempt']);
  return { phase: attempt === 0 && metadata?.name?.endsWith('-0') === true ? 'Failed' : 'Succeeded' };
};

/**
 * Applies one job after the other and kills the controller, a process of its own, with SIGKILL at a random time of the job's
 * life; then lets it end everything in peace.
 */
export async function killController(kills: number, seed: number): Promise<KillReport> {
  const random = createRandom(seed);
  const world = await startWorld(play);
  const doubled: string[] = [];
  const watch = new AbortController();
  let controller: ChildProcess | undefined;
  const watching = watchPods(world, doubled, watch.signal);
  try {
    for (let i = 0; i < NODES; i++) await world.createNode(`gpu-${i}`, 2);
    for (let i = 0; i < kills; i++) {
      await world.apply(`job-${i}`);
      controller = startProcess(world);
      await sleep(random.integer(LONGEST_LIFE_MS));
      await kill(controller);
    }
    controller = startProcess(world);
    const states = async (): Promise<string[]> =>
      (
        await world.plane.kubectl(
          'get',
          'tj',
          '-o',
          'jsonpath={range .items[*]}{.status.state} {.status.attempt}{"\\n"}{end}',
        )
      )
        .trim()
        .split('\n');
    await world.until(
      'every job ended',
      async () => (await states()).every((line) => /^(Complete|Failed)/.test(line)),
      120,
    );
    const complete = (await states()).filter((line) => line === 'Complete 1').length;
    await sleep(1000);
    const orphans = (await world.pods()).filter(({ status }) => status?.phase !== 'Succeeded').map(nameOf);
    return { kills, jobs: kills, complete, doubled, orphans };
  } finally {
    watch.abort();
    await watching;
    if (controller !== undefined) await kill(controller);
    await world.stop();
  }
}

function startProcess({ plane, logs }: World): ChildProcess {
  const env = { ...process.env, KUBECONFIG: plane.kubeconfigPath, SOAPSTONE_METRICS_PORT: '0', ...ALONE };
  const child = spawn(process.execPath, [MAIN], { env, stdio: ['ignore', 'ignore', 'pipe'] });
  child.stderr.on('data', (data: Buffer) => logs.push(data.toString().trimEnd()));
  return child;
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}

/** Looks all the time for two sets of pods of one job. */
async function watchPods(world: World, doubled: string[], signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const attempts = new Map<string, string>();
    for (const { metadata } of await world.pods().catch(() => [])) {
      const { 'soapstone.dev/job': job = '', 'soapstone.dev/attempt': attempt = '' } = metadata?.labels ?? {};
      const other = attempts.get(job);
      if (other !== undefined && other !== attempt) doubled.push(`${job}: attempts ${other} and ${attempt}`);
      attempts.set(job, attempt);
    }
    await sleep(100);
  }
}

function nameOf({ metadata }: V1Pod): string {
  return metadata?.name ?? '';
}
