import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';

/** The checkout that the pages are about. */
export const CHECKOUT: string = new URL('../../', import.meta.url).pathname;

/** A fenced block of a page. */
interface Block {
  /** Of the line after the fence, counted from 1. */
  readonly line: number;
  readonly language: string;
  readonly text: string;
}

/** A command that a page tells its reader to run. */
export interface PageCommand {
  /** Such as `docs/quickstart.md:12`. */
  readonly place: string;
  /** One shell command line, continued lines joined, without a comment at its end. */
  readonly command: string;
}

/** What a reader finds on a page and is meant to use. */
export interface Page {
  /** Relative to the checkout. */
  readonly path: string;
  readonly text: string;
  readonly commands: readonly PageCommand[];
  /** Blocks that begin with a comment that is a file name, such as `# job.yaml`: the reader saves them under that name. */
  readonly files: ReadonlyMap<string, string>;
}

/** README.md and all pages below docs/. */
export async function readPages(): Promise<Page[]> {
  const names = await readdir(join(CHECKOUT, 'docs'), { recursive: true });
  const pages = names.filter((name) => name.endsWith('.md')).map((name) => join(CHECKOUT, 'docs', name));
  return Promise.all([join(CHECKOUT, 'README.md'), ...pages.toSorted()].map(readPage));
}

async function readPage(path: string): Promise<Page> {
  const name = relative(CHECKOUT, path);
  const text = await readFile(path, 'utf8');
  const blocks = blocksOf(text);
  return {
    path: name,
    text,
    commands: blocks.filter(({ language }) => language === 'sh').flatMap((block) => commandsOf(name, block)),
    files: new Map(
      blocks.flatMap(({ text }) => {
        const [, file] = /^(?:#|\/\/) ([\w.-]+\.\w+)\n/.exec(text) ?? [];
        return file === undefined ? [] : [[file, text] as const];
      }),
    ),
  };
}

function blocksOf(page: string): Block[] {
  const blocks: Block[] = [];
  let open: { line: number; language: string; lines: string[] } | undefined;
  page.split('\n').forEach((line, index) => {
    const [, language] = /^ *```(\w*)/.exec(line) ?? [];
    if (language === undefined) open?.lines.push(line);
    else if (open === undefined) open = { line: index + 2, language, lines: [] };
    else {
      blocks.push({ ...open, text: `${open.lines.join('\n')}\n` });
      open = undefined;
    }
  });
  return blocks;
}

/** The commands of a block: a line each, unless a backslash goes on; empty lines and comments are none. */
export function commandsOf(page: string, { line, text }: Pick<Block, 'line' | 'text'>): PageCommand[] {
  const commands: PageCommand[] = [];
  let [begun, first] = ['', 0];
  text.split('\n').forEach((part, index) => {
    if (begun === '') first = line + index;
    begun += part.trim();
    if (begun.endsWith('\\')) {
      begun = begun.slice(0, -1);
      return;
    }
    const command = begun.replace(/(^|\s)#\s.*$/, '').trim();
    begun = '';
    if (command !== '') commands.push({ place: `${page}:${first}`, command });
  });
  return commands;
}
