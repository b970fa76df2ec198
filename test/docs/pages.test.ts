import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import test from 'ava';
import { CHECKOUT, commandsOf, readPages } from './pages.ts';
import { skipped, SKIPPED } from './skipped.ts';

const pages = await readPages();
const commands = pages.flatMap((page) => page.commands);

test('commands of a block: a line each, continued by a backslash, without comments', (t) => {
  const text = "# first\nnpx soapstone plan \\\n  --save 'a#b'   # saves\n\nkubectl get tj\n";
  t.deepEqual(commandsOf('x.md', { line: 3, text }), [
    { place: 'x.md:4', command: "npx soapstone plan --save 'a#b'" },
    { place: 'x.md:7', command: 'kubectl get tj' },
  ]);
});

test('each command that is not run stands in the list of those with a reason, and no reason is left over', (t) => {
  for (const entry of SKIPPED) {
    t.true(
      commands.some((command) => skipped(command) === entry),
      `nothing on ${entry.page} is ${entry.command}`,
    );
  }
  t.deepEqual(
    pages.filter(({ text }) => /^ *```(bash|shell|console)/m.test(text)).map(({ path }) => path),
    [],
    'blocks of commands begin with ```sh, so that tests find them',
  );
});

test('every link of a page leads to a file, and to a heading where it names one', async (t) => {
  const anchors = new Map(pages.map(({ path, text }) => [path, new Set(headings(text))]));
  for (const { path, text } of pages) {
    for (const [, target = '', anchor] of text
      .replaceAll(/`[^`\n]*`/g, '')
      .matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)) {
      const file = target === '' ? path : join(dirname(path), target);
      t.true(existsSync(join(CHECKOUT, file)), `${path} links to ${target}`);
      if (anchor !== undefined) t.true(anchors.get(file)?.has(anchor), `${path} links to ${target}#${anchor}`);
    }
  }
});

/** The names that GitHub gives to the headings of a page. */
function headings(text: string): string[] {
  return [...text.matchAll(/^#+ (.+)$/gm)].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\w\- ]/g, '')
      .replaceAll(' ', '-'),
  );
}
