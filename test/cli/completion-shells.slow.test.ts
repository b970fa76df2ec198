import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import test from 'ava';
import { COMMANDS } from '../../cli/commands/index.ts';
import { bashScript } from '../../cli/completion/bash.ts';
import { fishScript } from '../../cli/completion/fish.ts';
import { zshScript } from '../../cli/completion/zsh.ts';
import { FULL_RUN } from '../support/full-run.ts';

let folder: string;
test.before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'soapstone-completion-'));
  for (const [file, script] of [
    ['bash', bashScript(COMMANDS)],
    ['_soapstone', zshScript(COMMANDS)],
    ['fish', fishScript(COMMANDS)],
  ] as const)
    await writeFile(join(folder, file), script);
});
test.after.always(() => rm(folder, { recursive: true }));

/** Runs a shell, without what its user has set up, in an empty folder. */
async function run(shell: string, script: string): Promise<string[]> {
  const quiet = shell === 'bash' ? ['--norc'] : shell === 'zsh' ? ['-f'] : ['--no-config'];
  const { stdout } = await promisify(execFile)(shell, [...quiet, '-c', script], { cwd: folder, timeout: 60_000 });
  return stdout.split('\n').filter((line) => line !== '');
}

type Complete = (words: readonly string[]) => Promise<string[]>;

const SHELLS: Readonly<Record<string, Complete>> = {
  bash: (words) => {
    const list = words.map((word) => `'${word}'`).join(' ');
    return run(
      'bash',
      `. ./bash; COMP_WORDS=(${list}); COMP_CWORD=${words.length - 1}; _soapstone; printf '%s\\n' "\${COMPREPLY[@]}"`,
    );
  },
  fish: async (words) => {
    const lines = await run('fish', `source ./fish; complete -C '${words.join(' ')}'`);
    return lines.map((line) => line.split('\t')[0] ?? '');
  },
};

interface Case {
  readonly words: readonly string[];
  readonly has: readonly string[];
  readonly hasNot: readonly string[];
}

const CASES: readonly Case[] = [
  { words: ['soapstone', ''], has: COMMANDS.map(({ name }) => name), hasNot: ['--devices'] },
  { words: ['soapstone', 'ex'], has: ['explain', 'export'], hasNot: ['run'] },
  { words: ['soapstone', 'run', '--st'], has: ['--strategy', '--steps'], hasNot: ['--devices', '--save'] },
  {
    words: ['soapstone', 'plan', '--'],
    has: ['--model', '--onnx', '--cluster', '--memory', '--help'],
    hasNot: ['--tls'],
  },
  { words: ['soapstone', 'run', '--strategy', 'd'], has: ['data'], hasNot: ['expert'] },
  { words: ['soapstone', 'plan', '--model', 'al'], has: ['alexnet'], hasNot: ['lenet'] },
  { words: ['soapstone', 'explain', '--output', ''], has: ['json', 'text'], hasNot: ['--job'] },
  { words: ['soapstone', 'models', 'le'], has: ['lenet'], hasNot: ['alexnet'] },
  { words: ['soapstone', 'plan', 'le'], has: ['lenet'], hasNot: ['alexnet'] },
  { words: ['soapstone', 'completion', ''], has: ['bash', 'zsh', 'fish'], hasNot: ['--help'] },
];

/** Whether a shell is here; where all tests are asked for it must be. */
const isHere = (shell: string): boolean =>
  FULL_RUN || ['/bin', '/usr/bin'].some((path) => existsSync(join(path, shell)));

for (const [shell, complete] of Object.entries(SHELLS)) {
  (isHere(shell) ? test : test.skip)(`${shell} completes commands, options, values and models`, async (t) => {
    for (const { words, has, hasNot } of CASES) {
      const found = await complete(words);
      for (const word of has) t.true(found.includes(word), `${words.join(' ')}: ${word} is not in ${found.join(' ')}`);
      for (const word of hasNot) t.false(found.includes(word), `${words.join(' ')}: ${word}`);
    }
  });
}

/** What is typed before the tab, and what it becomes. */
const TYPED: readonly (readonly [string, string])[] = [
  ['soapstone expl', 'soapstone explain'],
  ['soapstone run --stra', 'soapstone run --strategy'],
  ['soapstone run --strategy exp', 'soapstone run --strategy expert'],
  ['soapstone plan --model ale', 'soapstone plan --model alexnet'],
  ['soapstone models len', 'soapstone models lenet'],
  ['soapstone explain --output js', 'soapstone explain --output json'],
];

(isHere('zsh') ? test : test.skip)('zsh completes commands, options, values and models', async (t) => {
  // Its completion system runs in a terminal only: a second zsh gets one, and each tab is awaited by what it makes of the line.
  const tabs = TYPED.map(
    ([typed, becomes]) =>
      `zpty -w -n z '${typed}'$'\t'; zpty -r z out '*${becomes}*'; print 'ok ${becomes}'; zpty -w z $'\x15'`,
  );
  const setUp = `fpath=(${folder} $fpath); autoload -Uz compinit; compinit -u -d ${folder}/dump; print ready$((1 + 1))`;
  const script = ['zmodload zsh/zpty', 'zpty z zsh -f -i', `zpty -w z '${setUp}'`, "zpty -r z out '*ready2*'", ...tabs];
  const said = await run('zsh', script.join('\n'));
  t.deepEqual(
    said,
    TYPED.map(([, becomes]) => `ok ${becomes}`),
  );
});
