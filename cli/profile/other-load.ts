import { readFile } from 'node:fs/promises';

/** Processor time since the start, in the clock ticks of the kernel. */
interface ProcessorTime {
  /** Of all processes. */
  readonly busy: number;
  /** Of this process and its children that have ended. */
  readonly own: number;
  /** Of one core. */
  readonly passed: number;
}

/**
 * Runs something, and says how many cores other processes kept busy meanwhile; undefined where the system does not tell. What it
 * starts must have ended with it. Source: proc(5), /proc/stat and /proc/[pid]/stat.
 */
export async function besideOthers<T>(run: () => Promise<T>): Promise<{ result: T; otherCores: number | undefined }> {
  const before = await processorTime();
  const result = await run();
  const after = await processorTime();
  if (before === undefined || after === undefined || after.passed <= before.passed) {
    return { result, otherCores: undefined };
  }
  const others = after.busy - before.busy - (after.own - before.own);
  return { result, otherCores: Math.max(0, others / (after.passed - before.passed)) };
}

async function processorTime(): Promise<ProcessorTime | undefined> {
  try {
    const [all, self] = await Promise.all([readFile('/proc/stat', 'utf8'), readFile('/proc/self/stat', 'utf8')]);
    const cores = all.match(/^cpu\d+/gm)?.length ?? 1;
    const times = all.split('\n')[0]!.trim().split(/\s+/).slice(1, 9).map(Number);
    const [user, nice, system, idle, waiting, interrupts, softInterrupts, stolen] = times;
    const busy = user! + nice! + system! + interrupts! + softInterrupts! + stolen!;
    // After the name in parentheses: state is the first field, so user time the twelfth.
    const fields = self.slice(self.lastIndexOf(')') + 2).split(' ');
    const own = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
    return { busy, own, passed: (busy + idle! + waiting!) / cores };
  } catch {
    return undefined;
  }
}
