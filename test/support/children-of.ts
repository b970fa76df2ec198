import { execFileSync } from 'node:child_process';

/** Ids of the processes that a process has started and that have not ended; none where it has ended itself. */
export function childrenOf(pid: number): number[] {
  try {
    const ids = execFileSync('ps', ['-o', 'pid=', '--ppid', String(pid)])
      .toString()
      .trim();
    return ids.split(/\s+/).map(Number);
  } catch {
    return [];
  }
}
