import process from 'node:process';

const US_PER_MS = 1000;

/** CPU time of this process since its start, milliseconds: the scheduler's, so what a thread waits for a core is not in it. */
export interface CpuTimes {
  /** Of the thread that asks. */
  readonly hereMs: number;
  /** Of all others, which kernels run on. */
  readonly elsewhereMs: number;
}

/** Takes about a microsecond. Source: getrusage(2), RUSAGE_SELF and RUSAGE_THREAD. */
export function cpuTimes(): CpuTimes {
  const [here, all] = [process.threadCpuUsage(), process.cpuUsage()];
  const hereMs = (here.user + here.system) / US_PER_MS;
  return { hereMs, elsewhereMs: (all.user + all.system) / US_PER_MS - hereMs };
}

/** What threads computed since a moment: those that kernels run on, or the one that asks. */
export function cpuSince(since: CpuTimes, where: 'here' | 'elsewhere'): number {
  const now = cpuTimes();
  return Math.max(0, where === 'here' ? now.hereMs - since.hereMs : now.elsewhereMs - since.elsewhereMs);
}
