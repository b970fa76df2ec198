/** A subcommand. */
export interface Command {
  readonly name: string;
  /** One line for the list of commands. */
  readonly summary: string;
  /** What `--help` prints, an example in it. */
  readonly help: string;
  /** Whether it goes on where nobody reads what it prints any more, as behind `| head`: it does more than print. */
  readonly outlivesReader?: true;
  /** @returns the exit code: 0 done, 1 the answer is no, 2 bad input or a fault; others as `help` says */
  run(args: readonly string[]): Promise<number>;
}
