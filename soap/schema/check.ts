import type { ValidateFunction } from 'ajv';
import { Ajv } from 'ajv';
import type { Problem } from './problems.ts';
import { problemLines, problemsOf } from './problems.ts';

export type { Problem } from './problems.ts';

/** A file with problems: all of them at once. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly problems: readonly Problem[];
  constructor(what: string, problems: readonly Problem[]) {
    const lines = problemLines(problems).map((line) => `  ${line}`);
    super(`${what} has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** Decides whether a value has type T, listing all problems when it has not. */
export interface Checker<T> {
  problems(value: unknown): Problem[];
  is(value: unknown): value is T;
}

/** One for all schemas: each compiles the schema of schemas once. */
let ajv: Ajv | undefined;

/**
 * A checker of a JSON schema; NaN and infinities, which YAML has, are not numbers. The schema is compiled when it is first asked for, since
 * that takes longer than loading all else of a program that may never need it. The caller vouches that the schema describes T.
 */
export function createChecker<T>(schema: object): Checker<T> {
  let compiled: ValidateFunction<T> | undefined;
  const validator = (): ValidateFunction<T> => {
    ajv ??= new Ajv({ allErrors: true, verbose: true, strict: false, strictNumbers: true });
    compiled ??= ajv.compile<T>(schema);
    return compiled;
  };
  return {
    problems(value) {
      const validate = validator();
      return validate(value) ? [] : problemsOf(validate.errors ?? []);
    },
    is: (value): value is T => validator()(value),
  };
}
