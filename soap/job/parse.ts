import { Ajv, type ValidateFunction } from 'ajv';
import { problemsOf, show, type Problem } from '../schema/problems.ts';
import { crossFieldProblems, withDependentDefaults } from './rules.ts';
import { trainingJobSchema, type FieldSchema } from './schema.ts';
import { soundFields } from './sound-fields.ts';
import type { TrainingJob } from './training-job.ts';

export type ParsedTrainingJob = { readonly job: TrainingJob } | { readonly problems: readonly Problem[] };

/**
 * Reads a TrainingJob from parsed YAML or JSON: strict, defaults filled in, every problem at once.
 * Never throws; the argument is not changed.
 */
export function parseTrainingJob(value: unknown): ParsedTrainingJob {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    return {
      problems: [{ path: '', message: `got ${show(value)}, expected a TrainingJob: start with apiVersion and kind` }],
    };
  }
  const copy = jsonCopy(value);
  if (copy === undefined) {
    return { problems: [{ path: '', message: 'an alias refers to itself, expected plain data: write the value out' }] };
  }
  const validate = validator();
  if (!validate(copy)) {
    const found = problemsOf(validate.errors ?? []);
    const rest = soundFields(Object(copy), found);
    return { problems: validate(rest) ? [...found, ...crossFieldProblems(rest)] : found };
  }
  const problems = crossFieldProblems(copy);
  return problems.length > 0 ? { problems } : { job: withDependentDefaults(copy) };
}

/** The fields that a TrainingJob does not have, whatever else is wrong with it; none of what is no object. */
export function unknownFields(value: unknown): Problem[] {
  const copy = typeof value === 'object' && value !== null ? jsonCopy(value) : undefined;
  const validate = validator();
  if (copy === undefined || validate(copy)) return [];
  return problemsOf((validate.errors ?? []).filter(({ keyword }) => keyword === 'additionalProperties'));
}

/** A copy as JSON sees it, so that what is checked is what a pod will read; undefined for a value that contains itself. */
function jsonCopy(value: object): unknown {
  try {
    return JSON.parse(JSON.stringify(value));
  } catch {
    return undefined;
  }
}

let compiled: ValidateFunction<TrainingJob> | undefined;

/** Compiled when a job is first read: that takes longer than loading what reads it. */
function validator(): ValidateFunction<TrainingJob> {
  compiled ??= compile();
  return compiled;
}

function compile(): ValidateFunction<TrainingJob> {
  // strictTypes: ajv warns about `required` inside oneOf, which a structural schema must write without a type.
  const ajv = new Ajv({ allErrors: true, verbose: true, useDefaults: true, strictTypes: false, strictRequired: false });
  ajv.addKeyword('example');
  return ajv.compile<TrainingJob>(strictSchema(trainingJobSchema));
}

/** The schema as ajv takes it: unknown fields are errors wherever an object is not open. */
function strictSchema(schema: FieldSchema): Record<string, unknown> {
  const { open, properties, additionalProperties, items, ...rest } = schema;
  const strict: Record<string, unknown> = { ...rest };
  if (properties !== undefined) {
    strict['properties'] = Object.fromEntries(
      Object.entries(properties).map(([name, field]) => [name, strictSchema(field)]),
    );
  }
  if (items !== undefined) strict['items'] = strictSchema(items);
  if (additionalProperties !== undefined) strict['additionalProperties'] = strictSchema(additionalProperties);
  else if (schema.type === 'object' && open !== true) strict['additionalProperties'] = false;
  return strict;
}
