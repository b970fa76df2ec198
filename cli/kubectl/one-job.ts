import type { Arguments } from '../command-line/arguments.ts';
import { UsageError } from '../command-line/usage-error.ts';

/** The job that a command is about. @throws {UsageError} where not exactly one is named */
export function oneJob({ positionals }: Arguments, command: string): string {
  const [name, ...surplus] = positionals;
  if (name === undefined || surplus.length > 0) {
    throw new UsageError(
      `${command} has ${positionals.length} jobs; expected one: kubectl soapstone ${command} JOB (kubectl get tj lists them)`,
    );
  }
  return name;
}
