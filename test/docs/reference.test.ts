import { readFile } from 'node:fs/promises';
import test from 'ava';
import { COMMANDS, helpText } from '../../cli/commands/index.ts';
import { commandPage, kubectlPage, splitHelp } from '../../docs/reference/command-page.ts';
import { jobPage } from '../../docs/reference/job-page.ts';
import { onnxPage } from '../../docs/reference/onnx-page.ts';
import { trainingJobSchema } from '../../soap/job/schema.ts';
import type { FieldSchema } from '../../soap/job/schema.ts';

const PAGES = { 'job.md': jobPage, 'command.md': commandPage, 'kubectl.md': kubectlPage, 'onnx.md': onnxPage };

for (const [name, page] of Object.entries(PAGES)) {
  test(`docs/reference/${name} is what the code says: npm run generate`, async (t) => {
    t.is(await readFile(new URL(`../../docs/reference/${name}`, import.meta.url), 'utf8'), page());
  });
}

test('the reference has a row for every field of the schema and of the status', (t) => {
  const page = jobPage();
  const paths = pathsOf('spec', trainingJobSchema.properties!['spec']!);
  t.true(paths.length > 70);
  t.deepEqual(
    paths.filter((path) => !page.includes(`| \`${path}\` `)),
    [],
  );
  t.notRegex(page, /\| *\|\n/, 'every field has a meaning');
  t.notRegex(page, /undefined/, 'and a type without what its schema does not say');
});

test('every help has an example, which begins with the command', (t) => {
  for (const { name, help } of [{ name: '', help: helpText() }, ...COMMANDS]) {
    const { examples } = splitHelp(help);
    t.true(examples.length > 0, `soapstone ${name} --help has no example`);
    t.true(
      examples.some((example) => example.includes(`soapstone ${name}`)),
      `no example of soapstone ${name} has it`,
    );
  }
});

test('the options in a help are those that the command takes', async (t) => {
  for (const command of COMMANDS) {
    const { name, help } = command;
    const described = [...help.matchAll(/^ {2}--([a-z-]+)/gm)].map(([, option]) => option!);
    t.deepEqual(described, [...new Set(described)], `soapstone ${name} describes an option twice`);
    for (const option of described) {
      // The second option is refused before anything is done.
      t.notRegex(
        await refusal(() => command.run([`--${option}=x`, '--no-such'])),
        /Unknown option '--(?!no-such)/,
        name,
      );
    }
    const source = await readFile(new URL(`../../cli/commands/${name}.ts`, import.meta.url), 'utf8');
    const taken = [...source.matchAll(/'?([a-z-]+)'?: \{ type: '(?:string|boolean)'/g)].map(([, option]) => option!);
    t.deepEqual(
      taken.filter((option) => !help.includes(`--${option}`)),
      [],
      `what soapstone ${name} takes and its help does not say`,
    );
  }
});

async function refusal(action: () => Promise<number>): Promise<string> {
  try {
    return `ended with ${await action()}`;
  } catch (error) {
    return String(error);
  }
}

function pathsOf(path: string, { properties = {} }: FieldSchema): string[] {
  return Object.entries(properties).flatMap(([name, field]) => [
    `${path}.${name}`,
    ...pathsOf(`${path}.${name}`, field),
  ]);
}
