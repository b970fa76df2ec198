import test from 'ava';
import { COMMANDS } from '../../cli/commands/index.ts';
import { helpOptions } from '../../cli/completion/help-options.ts';
import { complete } from '../../cli/kubectl/complete.ts';
import { soapstone } from '../support/soapstone.ts';

for (const command of COMMANDS) {
  test(`${command.name}: every option of the help is one, and the help has an example`, async (t) => {
    t.regex(command.help, /^example: .*soapstone/m);
    t.regex(command.help, new RegExp(`^soapstone ${command.name}\\b`));
    for (const { name, value } of helpOptions(command)) {
      const given = value === undefined ? [`--${name}`] : [`--${name}`, 'x'];
      const error = await t.throwsAsync(async () => command.run([...given, '--no-such-option']), undefined, name);
      t.regex(error?.message ?? '', /'--no-such-option'/, `--${name}: ${error?.message}`);
    }
  });
}

/** What is typed behind `kubectl soapstone`, what is offered, and what is not; names of files where the last is `:0`. */
const BEHIND_KUBECTL: readonly (readonly [
  words: readonly string[],
  has: readonly string[],
  hasNot: readonly string[],
])[] = [
  [['p'], ['plan\tshow the plan of a job, beside its baselines', ':4'], ['top']],
  [
    ['logs', '--'],
    ['--follow', '--namespace', '--help', ':4'],
    ['--interval', 'first'],
  ],
  [['top', '--output', ''], ['text', 'json', ':4'], ['first']],
  [['logs', '--output', 'j'], ['json', ':4'], ['text']],
  [['explain', 'first', '--html', ''], [':0'], ['second']],
  [['plan', ''], ['first', 'second', ':4'], ['--save']],
  [['plan', '-n', 'other', 's'], ['sole', ':4'], ['first']],
  [['plan', '--save', 'x', '--namespace=other', 's'], ['sole', ':4'], ['first']],
  [['plan', 'first', ''], [':4'], ['second']],
  [['plan', '-n', ''], [':4'], ['first']],
  [['nothing', ''], [':4'], ['first']],
];

test('kubectl is told what may follow: subcommands, options, values, and jobs of the namespace', async (t) => {
  const jobs = async (options: readonly string[]): Promise<string[]> =>
    options.join(' ').includes('other') ? ['sole'] : ['first', 'second'];
  for (const [words, has, hasNot] of BEHIND_KUBECTL) {
    const lines = (await complete(words, jobs)).trimEnd().split('\n');
    for (const each of has)
      t.true(
        lines.some((line) => line.includes(each)),
        `${words.join(' ')}: ${each} is not in ${lines.join(' ')}`,
      );
    for (const each of hasNot) t.false(lines.join(' ').includes(each), `${words.join(' ')}: ${each}`);
    t.regex(lines.at(-1) ?? '', /^:[04]$/);
  }
});

test('a shell that is not known is refused with those that are', async (t) => {
  const { code, stdout, stderr } = await soapstone('completion', 'tcsh');
  t.deepEqual([code, stdout], [2, '']);
  t.is(stderr, "soapstone: completion has 'tcsh'; expected one of bash, zsh, fish\n");
});
