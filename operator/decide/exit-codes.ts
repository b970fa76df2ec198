/** What ends a process by a signal: 128 and its number. Source: POSIX, "Shell Command Language", exit status for commands. */
const SIGNALS: Readonly<Record<number, string>> = {
  132: 'SIGILL: its program has instructions that the processor of the node lacks',
  134: 'SIGABRT: its program gave up',
  135: 'SIGBUS: memory that it mapped is not there, such as where /dev/shm or a volume is full',
  136: 'SIGFPE: a fault in whole-number arithmetic',
  137: 'SIGKILL: killed from outside, often for memory',
  139: 'SIGSEGV: a fault in memory',
};

/** What a shell or container runtime says of a command. Source: as of {@link SIGNALS}. */
const COMMANDS: Readonly<Record<number, string>> = {
  126: 'its command cannot be run',
  127: 'its command is not in the image',
};

/** Such as `exit code 139 (SIGSEGV: a fault in memory)`. */
export function exitInWords(exitCode: number): string {
  const meaning = SIGNALS[exitCode] ?? COMMANDS[exitCode];
  return meaning === undefined ? `exit code ${exitCode}` : `exit code ${exitCode} (${meaning})`;
}
