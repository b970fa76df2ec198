import type { HelpOption } from '../completion/help-options.ts';
import { helpOptions, wordsOf } from '../completion/help-options.ts';
import { KUBECTL_COMMANDS } from './index.ts';

/** What follows the words of a completion: whether the shell is to offer names of files too. Source: cobra, "ShellCompDirective". */
const [FILES, NO_FILES] = [':0', ':4'];

/** Values that are names of files. */
const FILE_VALUE = 'FILE';

/** A word that may come next, with what it is. */
type Candidate = readonly [word: string, description: string];

/**
 * What the tab key offers behind `kubectl soapstone`, in the form that kubectl asks plugins for: a line for each word, with a tab and its
 * description, and a directive at the end.
 * Source: Kubernetes pull request 105867, "Shell completion for plugins".
 * @param words behind `kubectl soapstone`; the last, which may be empty, is the one to be completed
 * @param jobsOf names of jobs, by the options among the words that say where to look
 */
export async function complete(
  words: readonly string[],
  jobsOf: (options: readonly string[]) => Promise<readonly string[]>,
): Promise<string> {
  const [name, ...typed] = words;
  const command = KUBECTL_COMMANDS.find((each) => each.name === name);
  if (typed.length === 0)
    return answer(
      KUBECTL_COMMANDS.map(({ name, summary }) => [name, summary]),
      name,
    );
  if (command === undefined) return answer([]);
  const options = helpOptions(command);
  const [word, before] = [typed.at(-1), typed.at(-2)];
  const asked = optionOf(options, before);
  if (asked?.value !== undefined) {
    const values = wordsOf(asked).map((each): Candidate => [each, '']);
    return answer(values, word, asked.value === FILE_VALUE ? FILES : NO_FILES);
  }
  if (word?.startsWith('-')) {
    return answer([...options.map(({ name, description }): Candidate => [`--${name}`, description]), HELP], word);
  }
  const { access, positionals } = given(options, typed.slice(0, -1));
  if (positionals > 0) return answer([]);
  return answer(
    (await jobsOf(access)).map((job) => [job, '']),
    word,
  );
}

const HELP: Candidate = ['--help', 'tell more'];

function answer(candidates: readonly Candidate[], word: string = '', directive: string = NO_FILES): string {
  const lines = candidates
    .filter(([candidate]) => candidate.startsWith(word))
    .map(([candidate, description]) => (description === '' ? candidate : `${candidate}\t${description}`));
  return [...lines, directive, ''].join('\n');
}

function optionOf(options: readonly HelpOption[], word: string | undefined): HelpOption | undefined {
  return options.find(({ name, short }) => word === `--${name}` || (short !== undefined && word === `-${short}`));
}

/** Options that say which cluster and namespace, with their values, and how many words are none. */
function given(
  options: readonly HelpOption[],
  words: readonly string[],
): { readonly access: readonly string[]; readonly positionals: number } {
  const access: string[] = [];
  let positionals = 0;
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const option = optionOf(options, word.split('=')[0]);
    if (option === undefined) positionals += word.startsWith('-') ? 0 : 1;
    const hasOwnWord = option?.value !== undefined && !word.includes('=');
    if (option !== undefined && ACCESS.has(option.name)) access.push(...words.slice(i, hasOwnWord ? i + 2 : i + 1));
    if (hasOwnWord) i += 1;
  }
  return { access, positionals };
}

const ACCESS: ReadonlySet<string> = new Set(['namespace', 'context', 'kubeconfig']);
