import { BUILTIN_MODELS } from '../../soap/models/index.ts';
import type { Command } from '../command-line/command.ts';

/** An option of a command, as its help tells of it: so that what is completed is what is documented. */
export interface HelpOption {
  /** Without dashes. */
  readonly name: string;
  /** Its short form, such as `n` of `-n`; undefined where it has none. */
  readonly short: string | undefined;
  /** What its value is called, such as `FILE`; undefined where it takes none. */
  readonly value: string | undefined;
  /** The first line of what is said about it; empty where it is in the usage alone. */
  readonly description: string;
}

/** An option with a line of its own: its short form and a comma, where it has one; its name, a space and its value, and after more room what it is for. */
const OPTION_LINE = /^ {2}(?:-([a-zA-Z]), )?--([a-z-]+)(?: ([A-Z][A-Z=.]*))? +(.*)$/gm;

/** An option in the usage, the first line of the help. */
const USAGE_OPTION = /--([a-z-]+) ([A-Z][A-Z|.]*)/g;

/** The options of a command in the order of its help, those of the usage alone last. */
export function helpOptions({ help }: Pick<Command, 'help'>): HelpOption[] {
  const options = [...help.matchAll(OPTION_LINE)].map(([, short, name = '', value, description = '']): HelpOption => ({
    name,
    short,
    value,
    description,
  }));
  const [usage = ''] = help.split('\n');
  for (const [, name = '', value] of usage.matchAll(USAGE_OPTION))
    if (options.every((option) => option.name !== name))
      options.push({ name, short: undefined, value, description: '' });
  return options;
}

const MODELS = BUILTIN_MODELS.map(({ name }) => name);

/** Words that an option's value may be, beside the name of a file; none where it is a number or a file alone. */
const OPTION_WORDS: Readonly<Record<string, readonly string[]>> = {
  output: ['text', 'json'],
  strategy: ['search', 'data', 'model', 'expert', 'single'],
  model: MODELS,
};

/** The shells that there are scripts for. */
export const SHELLS = ['bash', 'zsh', 'fish'] as const;

/** One of them. */
export type Shell = (typeof SHELLS)[number];

/** Words that may stand beside a command without an option, beside names of files. */
const ARGUMENT_WORDS: Readonly<Record<string, readonly string[]>> = {
  models: MODELS,
  check: MODELS,
  plan: MODELS,
  profile: MODELS,
  completion: SHELLS,
};

/** What may follow an option. */
export function wordsOf({ name }: HelpOption): readonly string[] {
  return OPTION_WORDS[name] ?? [];
}

/** What may follow a command. */
export function argumentsOf({ name }: Pick<Command, 'name'>): readonly string[] {
  return ARGUMENT_WORDS[name] ?? [];
}
