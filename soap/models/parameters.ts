import { nearest } from '../schema/nearest.ts';
import { show } from '../schema/problems.ts';
import { OpError } from '../ops/op.ts';

/** What a user may write as the value of a model's parameter. */
export type ParameterValue = number | string | boolean;

/** Values of a model's parameters as a user gives them, by name; those left out have their defaults. */
export type ModelParameters = Readonly<Record<string, ParameterValue>>;

/** One parameter of a model. */
export interface ParameterSpec<T> {
  readonly default: T;
  /** One line for the user. */
  readonly meaning: string;
  /** Which values it takes, to end the words "expected ...". */
  readonly expected: string;
  /** The value as the model reads it; undefined where it is none of those expected. */
  read(value: ParameterValue): T | undefined;
  /** The value as a user writes it. */
  write(value: T): ParameterValue;
}

/** Specifications of all parameters of a model. */
export type ParameterSpecs<V> = { readonly [K in keyof V]: ParameterSpec<V[K]> };

interface Bounds {
  readonly least?: number;
  readonly most?: number;
}

/** Keeps a graph's shapes within what a tensor index can count. */
const MOST = 2 ** 20;
/** Numbers in a list. */
const LONGEST = 256;

/** A whole number, at least 1 where no other bound is given. */
export function whole(otherwise: number, meaning: string, bounds: Bounds = {}): ParameterSpec<number> {
  const { least = 1, most = MOST } = bounds;
  return {
    default: otherwise,
    meaning,
    expected: `a whole number from ${least} to ${most}`,
    read: (value) => (isWhole(value, least, most) ? value : undefined),
    write: (value) => value,
  };
}

/** A number from 0 to just below 1, such as the part of something. */
export function share(otherwise: number, meaning: string): ParameterSpec<number> {
  return {
    default: otherwise,
    meaning,
    expected: 'a number at least 0 and less than 1',
    read: (value) => (typeof value === 'number' && value >= 0 && value < 1 ? value : undefined),
    write: (value) => value,
  };
}

/** True or false. */
export function flag(otherwise: boolean, meaning: string): ParameterSpec<boolean> {
  return {
    default: otherwise,
    meaning,
    expected: 'true or false',
    read: (value) => (typeof value === 'boolean' ? value : undefined),
    write: (value) => value,
  };
}

/**
 * Several whole numbers with dashes between them, such as 3-4-23-3: the way in which DLRM's own command line gives the widths
 * of layers. A single one may be written as a number.
 */
export function wholes(
  otherwise: readonly number[],
  meaning: string,
  bounds: Bounds & { readonly longest?: number } = {},
): ParameterSpec<readonly number[]> {
  const { least = 1, most = MOST, longest = LONGEST } = bounds;
  return {
    default: otherwise,
    meaning,
    expected:
      `at most ${longest} whole numbers from ${least} to ${most} with dashes between, such as ` +
      otherwise.slice(0, 4).join('-'),
    read(value) {
      const text = String(value);
      if (!/^\d+(-\d+)*$/.test(text)) return undefined;
      const numbers = text.split('-').map(Number);
      const fits = numbers.length <= longest && numbers.every((number) => isWhole(number, least, most));
      return fits ? numbers : undefined;
    },
    write: (value) => value.join('-'),
  };
}

/** One thing wrong with the parameters of a model. */
export interface ParameterProblem {
  /** Where it shows. */
  readonly parameter: string;
  /** What was got, what is expected, and the cure. */
  readonly message: string;
}

/** A rule over several parameters that is broken. */
export interface BrokenRule extends ParameterProblem {
  /** The other parameters that it looks at. */
  readonly beside: readonly string[];
}

/** Parameters as they were read. */
interface ReadParameters<V> {
  /** Of all parameters; defaults where none or no sound ones are given. */
  readonly values: V;
  /** Of all parameters that are given. */
  readonly problems: readonly ParameterProblem[];
}

/**
 * Reads the parameters of a model, with every problem at once.
 * @param rulesOf finds what values break that are sound each by itself
 */
export function readParameters<V>(
  model: string,
  specs: ParameterSpecs<V>,
  given: ModelParameters,
  rulesOf: (values: V) => readonly BrokenRule[],
): ReadParameters<V> {
  const unknown = Object.keys(given).filter((name) => !Object.hasOwn(specs, name));
  const problems = unknown.map((name) => unknownParameter(model, name, specs));
  const values: Partial<V> = {};
  for (const name in specs) {
    const read = readParameter(name, specs[name], given[name]);
    if ('value' in read) values[name] = read.value;
    else {
      problems.push(read);
      values[name] = specs[name].default;
    }
  }
  if (!isComplete(specs, values)) throw new OpError(`internal: parameters of model '${model}' are missing`);
  const unsound = new Set(problems.map(({ parameter }) => parameter));
  const broken = rulesOf(values).filter((rule) => ![rule.parameter, ...rule.beside].some((name) => unsound.has(name)));
  return { values, problems: [...problems, ...broken.map(({ parameter, message }) => ({ parameter, message }))] };
}

function readParameter<T>(
  parameter: string,
  spec: ParameterSpec<T>,
  given: ParameterValue | undefined,
): ParameterProblem | { readonly value: T } {
  if (given === undefined) return { value: spec.default };
  const value = spec.read(given);
  if (value !== undefined) return { value };
  return { parameter, message: `got ${show(given)}, expected ${spec.expected} (${spec.meaning}): change its value` };
}

function unknownParameter(model: string, parameter: string, specs: object): ParameterProblem {
  const known = Object.keys(specs);
  const guess = nearest(parameter, known);
  const cure = guess === undefined ? 'leave it out' : `did you mean ${guess}?`;
  return { parameter, message: `unknown parameter; model '${model}' takes ${known.join(', ')}: ${cure}` };
}

function isComplete<V>(specs: ParameterSpecs<V>, values: Partial<V>): values is V {
  return Object.keys(specs).every((name) => Object.hasOwn(values, name));
}

function isWhole(value: unknown, least: number, most: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= least && value <= most;
}
