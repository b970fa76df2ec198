import type { ErrorObject } from 'ajv';
import { Ajv } from 'ajv';

/** Something wrong with a file, and where. */
export interface Problem {
  /** Such as `spec.training.batchSize`; empty for the whole. */
  readonly path: string;
  /** What, got, expected. */
  readonly message: string;
}

/** A file with problems: all of them at once. */
export class FileError extends Error {
  override readonly name = 'FileError';
  readonly problems: readonly Problem[];
  constructor(what: string, problems: readonly Problem[]) {
    const lines = problems.map(({ path, message }) => `  ${path === '' ? '' : `${path}: `}${message}`);
    super(`${what} has ${problems.length} problem${problems.length === 1 ? '' : 's'}:\n${lines.join('\n')}`);
    this.problems = problems;
  }
}

/** Decides whether a value has type T, listing all problems when it has not. Defaults of the schema are filled in. */
export interface Checker<T> {
  problems(value: unknown): Problem[];
  is(value: unknown): value is T;
}

/** Compiles a JSON schema. The caller vouches that the schema describes T. */
export function createChecker<T>(schema: object): Checker<T> {
  const validate = new Ajv({ allErrors: true, useDefaults: true, verbose: true, strict: false }).compile<T>(schema);
  return {
    problems: (value) => (validate(value) ? [] : uniqueProblems((validate.errors ?? []).map(toProblem))),
    is: (value): value is T => validate(value),
  };
}

function toProblem(error: ErrorObject): Problem {
  const path = error.instancePath.slice(1).replaceAll('/', '.').replaceAll('~1', '/').replaceAll('~0', '~');
  return { path, message: messageOf(error) };
}

function messageOf(error: ErrorObject): string {
  const got = shown(error.data);
  const parameter = (name: string): unknown => (error.params as Readonly<Record<string, unknown>>)[name];
  switch (error.keyword) {
    case 'additionalProperties': {
      const name = String(parameter('additionalProperty'));
      const known = knownProperties(error.parentSchema);
      return `unknown field '${name}'; expected ${nearest(name, known)}`;
    }
    case 'required':
      return `field '${String(parameter('missingProperty'))}' is missing; add it`;
    case 'type':
      return `is ${got}; expected ${String(parameter('type'))}`;
    case 'enum':
    case 'const':
      return `is ${got}; expected ${JSON.stringify(parameter('allowedValues') ?? parameter('allowedValue'))}`;
    case 'oneOf':
      return `is ${got}; expected exactly one of the forms the reference lists`;
    default:
      return `is ${got}; it ${error.message ?? 'does not fit'}`;
  }
}

function knownProperties(schema: unknown): string[] {
  if (typeof schema !== 'object' || schema === null || !('properties' in schema)) return [];
  const { properties } = schema;
  return typeof properties === 'object' && properties !== null ? Object.keys(properties) : [];
}

/** The field that was probably meant, else all of them. */
function nearest(name: string, known: readonly string[]): string {
  const close = known.filter((candidate) => distance(name.toLowerCase(), candidate.toLowerCase()) <= 2);
  return close.length > 0 ? `'${close[0]}'` : `one of ${known.join(', ') || 'none'}`;
}

/** Edit distance of two short names (Levenshtein). */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const change = a[i - 1] === b[j - 1] ? 0 : 1;
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + change));
    }
    row = next;
  }
  return row[b.length]!;
}

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function uniqueProblems(problems: readonly Problem[]): Problem[] {
  const seen = new Map(problems.map((problem) => [`${problem.path}\n${problem.message}`, problem]));
  return [...seen.values()];
}
