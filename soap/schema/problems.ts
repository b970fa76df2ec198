import type { ErrorObject } from 'ajv';
import { nearest } from './nearest.ts';
import { isRecord } from './is-record.ts';

/** One thing wrong with a file: where, and a sentence that says what, got, expected and cure. */
export interface Problem {
  /** Such as `spec.training.batchSize` or `spec.search.start[1]`; `` for the whole document. */
  readonly path: string;
  readonly message: string;
}

/** Dotted path of a JSON pointer (RFC 6901). */
function dottedPath(pointer: string): string {
  let dotted = '';
  for (const raw of pointer.split('/').slice(1)) {
    const token = raw.replaceAll('~1', '/').replaceAll('~0', '~');
    if (/^\d+$/.test(token)) dotted += `[${token}]`;
    else dotted += dotted === '' ? token : `.${token}`;
  }
  return dotted;
}

/** A value as it is shown in a message: JSON, cut to a length that leaves the sentence readable. */
export function show(value: unknown): string {
  if (value === undefined) return 'nothing';
  if (Array.isArray(value)) return `a list of ${value.length}`;
  if (typeof value === 'object' && value !== null) return `an object with ${fieldList(Object.keys(value))}`;
  const text = JSON.stringify(value) ?? typeof value;
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function fieldList(fields: readonly string[]): string {
  if (fields.length === 0) return 'no fields';
  return fields.length > 6 ? `${fields.length} fields` : fields.map((field) => field.slice(0, 40)).join(', ');
}

const typeNames: Readonly<Record<string, string>> = {
  object: 'an object',
  array: 'a list',
  string: 'a string',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};

function stringList(value: unknown): string[] {
  return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : [];
}

/** The fields that a `oneOf` chooses from. */
function alternatives(schema: unknown): string[] {
  return Array.isArray(schema)
    ? schema.flatMap((option) => (isRecord(option) ? stringList(option['required']) : []))
    : [];
}

function unknownField(error: ErrorObject, path: string): Problem {
  const field = String(error.params['additionalProperty']);
  const known =
    isRecord(error.parentSchema) && isRecord(error.parentSchema['properties']) ? error.parentSchema['properties'] : {};
  const guess = nearest(field, Object.keys(known));
  const cure = guess === undefined ? 'remove it' : `did you mean ${guess}?`;
  const where = path === '' ? 'the document' : path;
  return {
    path: path === '' ? field : `${path}.${field}`,
    message: `unknown field; ${where} has ${Object.keys(known).join(', ')}: ${cure}`,
  };
}

function oneOfProblem(error: ErrorObject, path: string): Problem {
  const options = alternatives(error.schema);
  const data = error.data;
  const given = isRecord(data) ? options.filter((option) => data[option] !== undefined) : [];
  const got = given.length === 0 ? 'none of them' : given.join(' and ');
  const cure = given.length === 0 ? `add one` : `keep one and remove the other${given.length > 2 ? 's' : ''}`;
  return { path, message: `got ${got}, expected exactly one of ${options.join(', ')}: ${cure}` };
}

function enumProblem(error: ErrorObject, path: string): Problem {
  const allowed = stringList(error.schema);
  const guess = typeof error.data === 'string' ? nearest(error.data, allowed) : undefined;
  const cure = guess === undefined ? 'use one of these' : `did you mean ${guess}?`;
  return { path, message: `got ${show(error.data)}, expected ${allowed.join(' or ')}: ${cure}` };
}

/** Bounds, lengths and counts: what is expected, and the cure. */
function boundSentence(error: ErrorObject): string | undefined {
  const limit = show(error.schema);
  switch (error.keyword) {
    case 'minimum':
      return `got ${show(error.data)}, expected at least ${limit}: raise it`;
    case 'const':
      return `got ${show(error.data)}, expected ${limit}: make the file anew with this version`;
    case 'exclusiveMinimum':
      return `got ${show(error.data)}, expected more than ${limit}: raise it`;
    case 'maximum':
      return `got ${show(error.data)}, expected at most ${limit}: lower it`;
    case 'minLength':
      return `got an empty string, expected at least ${limit} character: fill it in`;
    case 'maxLength':
      return `got ${typeof error.data === 'string' ? error.data.length : 'too many'} characters, expected at most ${limit}: shorten it`;
    case 'minItems':
      return `got ${show(error.data)}, expected a list of at least ${limit}: add to it`;
    case 'maxItems':
      return `got ${show(error.data)}, expected a list of at most ${limit}: shorten it`;
    case 'minProperties':
      return `got ${show(error.data)}, expected at least ${limit} field: add it`;
    case 'maxProperties':
      return `got ${show(error.data)}, expected at most ${limit} field${limit === '1' ? '' : 's'}: remove the others`;
    default:
      return undefined;
  }
}

function patternSentence(error: ErrorObject): string {
  const example = exampleOf(error);
  return example === undefined
    ? `got ${show(error.data)}, expected lower-case letters, digits and '-', starting with a letter and ending with a letter or digit: rename it`
    : `got ${show(error.data)}, expected a value such as ${example}: correct it`;
}

/** The fields that an object in place of another value would have. */
function withFields(error: ErrorObject): string {
  const fields: unknown = error.parentSchema?.['properties'];
  if (error.schema !== 'object' || !isRecord(fields) || exampleOf(error) !== undefined) return '';
  return ` with ${fieldList(Object.keys(fields))}`;
}

/** What the field's schema gives as an example. */
function exampleOf({ parentSchema }: ErrorObject): string | undefined {
  return exampleIn(parentSchema);
}

function exampleIn(schema: unknown): string | undefined {
  return isRecord(schema) && typeof schema['example'] === 'string' ? schema['example'] : undefined;
}

/** How to add a field that an object lacks. */
function addition({ parentSchema }: ErrorObject, field: string): string {
  const fields: unknown = parentSchema?.['properties'];
  const example = isRecord(fields) ? exampleIn(fields[field]) : undefined;
  return example === undefined ? 'add it' : `add it, as in '${field}: ${example}'`;
}

function problemOf(error: ErrorObject): Problem | undefined {
  const path = dottedPath(error.instancePath);
  switch (error.keyword) {
    case 'additionalProperties':
      return unknownField(error, path);
    case 'required': {
      const field = String(error.params['missingProperty']);
      const message = `is missing, and has no default: ${addition(error, field)}`;
      return { path: path === '' ? field : `${path}.${field}`, message };
    }
    case 'type': {
      const type = String(error.schema);
      const example = exampleOf(error);
      const cure =
        example === undefined ? 'change its value' : `write it as in '${path.split('.').at(-1)}: ${example}'`;
      return {
        path,
        message: `got ${show(error.data)}, expected ${typeNames[type] ?? type}${withFields(error)}: ${cure}`,
      };
    }
    case 'enum':
      return enumProblem(error, path);
    case 'oneOf':
      // Of what is no object, its type is what is wrong.
      return isRecord(error.data) ? oneOfProblem(error, path) : undefined;
    case 'pattern':
      return { path, message: patternSentence(error) };
    default: {
      const sentence = boundSentence(error);
      return { path, message: sentence ?? error.message ?? 'is not valid' };
    }
  }
}

/** Sentences for what ajv found; the reasons why each alternative of a `oneOf` failed are left out, since one sentence says it. */
export function problemsOf(errors: readonly ErrorObject[]): Problem[] {
  return errors.filter((error) => !/\/oneOf\/\d+\//.test(error.schemaPath)).flatMap((error) => problemOf(error) ?? []);
}

/** One line per problem, as the command prints them and a condition's message shows them. */
export function problemLines(problems: readonly Problem[]): string[] {
  return problems.map(({ path, message }) => (path === '' ? message : `${path}: ${message}`));
}
