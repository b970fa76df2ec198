import type { ParseArgsOptionsConfig } from 'node:util';
import { parseArgs } from 'node:util';
import type { KernelProvider } from '../../soap/job/kernel-providers.ts';
import { isKernelProvider, KERNEL_PROVIDERS } from '../../soap/job/kernel-providers.ts';
import { nearest } from '../../soap/schema/nearest.ts';
import { UsageError } from './usage-error.ts';

/** A parsed command line: option values as text, and the rest. */
export interface Arguments {
  readonly options: Readonly<Record<string, string | boolean | readonly (string | boolean)[] | undefined>>;
  readonly positionals: readonly string[];
}

/**
 * Parses options strictly.
 * @param program that the command is of, for its errors
 * @throws {UsageError} for unknown options, all of them at once, missing values, and an `--output` in no form that there is: whoever asks
 * for that is to hear it before the work, not after it
 */
export function parseArguments(
  args: readonly string[],
  options: ParseArgsOptionsConfig,
  command: string,
  program: string = 'soapstone',
): Arguments {
  const help = `(${program} ${command} --help lists the options)`;
  const unknown = unknownOptions(args, options);
  if (unknown.length > 0) throw new UsageError(`${unknown.join('; ')} ${help}`);
  try {
    const { values, positionals } = parseArgs({ args: [...args], options, allowPositionals: true });
    const { output = 'text' } = values;
    if (output !== 'text' && output !== 'json')
      throw new Error(`--output is '${String(output)}'; expected text or json`);
    return { options: values, positionals };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replaceAll('\n', ' ') : String(error);
    throw new UsageError(`${reason} ${help}`, { cause: error });
  }
}

/** A sentence for each option that there is not, with the one that was meant. */
function unknownOptions(args: readonly string[], options: ParseArgsOptionsConfig): string[] {
  const { tokens } = parseArgs({ args: [...args], options, allowPositionals: true, strict: false, tokens: true });
  const unknown = tokens.filter((token) => token.kind === 'option' && !Object.hasOwn(options, token.name));
  return unknown.map((token) => {
    const [written, name] = token.kind === 'option' ? [token.rawName, token.name] : ['', ''];
    const guess = name.length > 1 ? nearest(name, Object.keys(options)) : undefined;
    return `there is no option '${written}'${guess === undefined ? '' : `: did you mean --${guess}?`}`;
  });
}

/** The text of an option, or undefined. */
export function text({ options }: Arguments, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}

/** The texts of an option that may be given more than once. */
export function texts({ options }: Arguments, name: string): string[] {
  const value = options[name];
  return Array.isArray(value) ? value.filter((each) => typeof each === 'string') : [];
}

/**
 * A whole number of an option, or undefined.
 * @throws {UsageError} for anything else
 */
export function wholeNumber(args: Arguments, name: string, least: number, most: number): number | undefined {
  const value = text(args, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (value.trim() !== '' && Number.isSafeInteger(number) && number >= least && number <= most) return number;
  throw new UsageError(`--${name} is '${value}'; expected a whole number from ${least} to ${most}`);
}

/** What `--provider` says, or undefined. @throws {UsageError} for anything else */
export function kernelProvider(args: Arguments): KernelProvider | undefined {
  const value = text(args, 'provider');
  if (value === undefined || isKernelProvider(value)) return value;
  throw new UsageError(`--provider is '${value}'; expected one of ${KERNEL_PROVIDERS.join(', ')}`);
}

/**
 * A positive number of an option, or undefined.
 * @param most the largest that makes sense
 * @throws {UsageError} for anything else
 */
export function positiveNumber(args: Arguments, name: string, most: number = Infinity): number | undefined {
  const value = text(args, name);
  if (value === undefined) return undefined;
  const number = Number(value);
  if (Number.isFinite(number) && number > 0 && number <= most) return number;
  const bound = Number.isFinite(most) ? ` up to ${most}` : '';
  throw new UsageError(`--${name} is '${value}'; expected a positive number${bound}`);
}

/** Whether an option without a value is given. */
export function flag({ options }: Arguments, name: string): boolean {
  return options[name] === true;
}

/** Whether `--output json` is asked for. */
export function wantsJson({ options }: Arguments): boolean {
  return options['output'] === 'json';
}
