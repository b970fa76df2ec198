import { spawn } from 'node:child_process';
import { cp, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { Progress } from '../../cli/terminal/progress.ts';
import { decodeCostTable } from '../../soap/cost/cost-table.ts';
import { SOAPSTONE } from '../support/soapstone.ts';

const GOLDEN = new URL('../golden/mlp', import.meta.url).pathname;
const COLUMNS = 72;

interface Seen {
  readonly code: number | null;
  /** What the terminal was sent. */
  readonly text: string;
}

/** Runs the command on a terminal of its own, by util-linux' script. @param onText may press keys, and is told all there was */
function onTerminal(
  args: readonly string[],
  onText: (text: string, press: (keys: string) => void) => void,
): Promise<Seen> {
  const quoted = [process.execPath, SOAPSTONE, ...args].map((word) => `'${word}'`).join(' ');
  const child = spawn('script', ['-qec', `stty cols ${COLUMNS}; exec ${quoted}`, '/dev/null'], {
    stdio: ['pipe', 'pipe', 'ignore'],
    env: { ...process.env, TERM: 'xterm', NO_COLOR: '1' },
  });
  let text = '';
  child.stdout.on('data', (data: Buffer) => {
    text += data.toString();
    onText(text, (keys) => child.stdin.write(keys));
  });
  return new Promise((resolve) => child.once('close', (code) => resolve({ code, text })));
}

/** What stands on each line in the end: every redrawing clears what was there. */
const linesOf = (text: string): string[] =>
  text.split('\n').map((line) => line.replace(/\r$/, '').split('\r\u001B[2K').at(-1) ?? '');

test('a search draws one bar that ends full; what it says fits the terminal, has no colour, and stands on lines of its own', async (t) => {
  const args = ['plan', '--model', 'lenet', '--cluster', 'p100x2', '--proposals', '2000'];
  const { code, text } = await onTerminal(args, () => undefined);
  t.is(code, 0, text);
  const bars = linesOf(text).filter((line) => line.startsWith('searching'));
  t.is(bars.length, 1);
  t.regex(bars[0] ?? '', /^searching █{8,24} 100%/);
  t.regex(text, /\nmodel lenet on p100x2/);
  t.regex(text, /\ncompute time: all from data sheets\r\n/);
  t.false(text.includes('\u001B[3'), 'no colour');
  for (const drawn of text.replaceAll('\r\u001B[2K', '\n').split('\n'))
    if (drawn.includes('█')) t.true(drawn.length <= COLUMNS, drawn);
});

test('output that finds no room is told in a sentence, and is a fault', async (t) => {
  const full = await open('/dev/full', 'w');
  t.teardown(() => full.close());
  const child = spawn(process.execPath, [SOAPSTONE, 'models'], { stdio: ['ignore', full.fd, 'pipe'] });
  let stderr = '';
  child.stderr!.on('data', (data: Buffer) => (stderr += data.toString()));
  const code = await new Promise((resolve) => child.once('close', resolve));
  t.is(code, 2);
  t.regex(stderr, /^soapstone: cannot write to standard output: ENOSPC: .*; see that there is room where it goes\n$/);
});

test('Ctrl-C on the terminal during a search leaves the best plan so far', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-terminal-'));
  t.teardown(() => rm(folder, { recursive: true }));
  const save = join(folder, 'plan.json');
  let pressed = false;
  const args = ['plan', '--model', 'lenet', '--cluster', 'p100x2', '--seconds', '3600', '--save', save];
  const { code, text } = await onTerminal(args, (said, press) => {
    if (pressed || !said.includes('proposals, best')) return;
    pressed = true;
    press('\u0003');
  });
  t.is(code, 130, text);
  t.regex(text, /\r\nplan written to .*plan\.json/);
  t.true((await readFile(save, 'utf8')).includes('"iterationMs"'));
});

test('Ctrl-C on the terminal during training leaves a checkpoint, says how to go on, and the bar a line of its own', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-terminal-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(GOLDEN, folder, { recursive: true });
  const job = join(folder, 'job.yaml');
  const written = (await readFile(job, 'utf8')).replace('steps: 20', 'steps: 1000000');
  await writeFile(job, `${written}  checkpoint: { directory: checkpoints, everySteps: 1000000, keep: 2 }\n`);
  let pressed = false;
  const { code, text } = await onTerminal(['run', job, '--devices', '2', '--strategy', 'data'], (said, press) => {
    if (pressed || !/training .* step \d+/.test(said)) return;
    pressed = true;
    press('\u0003');
  });
  t.is(code, 130, text);
  const lines = linesOf(text);
  t.true(
    lines.some((line) => /^stopped after step \d+; go on with: soapstone run .* --resume$/.test(line)),
    lines.join('\n'),
  );
  t.true(lines.some((line) => /^checkpoint: .*step-\d+$/.test(line)));
});

test('Ctrl-C on the terminal during the search of a run goes on to training, and says so; the next one ends that', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-terminal-'));
  t.teardown(() => rm(folder, { recursive: true }));
  await cp(GOLDEN, folder, { recursive: true });
  const job = join(folder, 'job.yaml');
  const written = (await readFile(job, 'utf8'))
    .replace('steps: 20', 'steps: 1000000')
    .replace(/seconds: .*/, 'seconds: 3600');
  await writeFile(job, `${written}  checkpoint: { directory: checkpoints, everySteps: 1000000 }\n`);
  const waitedFor = [/proposals, best/, /training .* step \d+/];
  const { code, text } = await onTerminal(['run', job, '--devices', '2'], (said, press) => {
    if (waitedFor[0]?.test(said) !== true) return;
    waitedFor.shift();
    press('\u0003');
  });
  t.is(code, 130, text);
  t.regex(text, /the search was ended: training begins by the best plan so far[^]*stopped after step \d+; go on with/);
});

for (const phase of ['measuring kernels', 'running iterations']) {
  test(`Ctrl-C on the terminal while a profile is ${phase} leaves a table of what is measured`, async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'soapstone-terminal-'));
    t.teardown(() => rm(folder, { recursive: true }));
    const save = join(folder, 'costs.json');
    const args = ['profile', join(GOLDEN, 'job.yaml'), '--devices', '2', '--seconds', '60', '--save', save];
    let pressed = false;
    const { code, text } = await onTerminal(args, (said, press) => {
      if (pressed || !said.includes(phase)) return;
      pressed = true;
      press('\u0003');
    });
    t.is(code, 130, text);
    t.regex(text, /\r\n\d+ kernels measured on cpu .*[^]*\r\ncost table written to .*costs\.json/);
    t.is(decodeCostTable(await readFile(save, 'utf8')).devices.length, 1);
    const bars = linesOf(text).filter((line) => line.includes('█') || line.includes('░'));
    t.true(bars.length >= 1 && bars.every((line) => line.length < COLUMNS), bars.join('\n'));
  });
}

/** A stream that keeps what is written. */
function sink(
  isTTY: boolean,
  columns?: number,
): { written: string[]; stream: ConstructorParameters<typeof Progress>[1] } {
  const written: string[] = [];
  const write = (text: string | Uint8Array): boolean => written.push(String(text)) > 0;
  return { written, stream: { write, isTTY, ...(columns === undefined ? {} : { columns }) } };
}

test('a bar gives its room to what is said', (t) => {
  for (const [columns, width] of [
    [200, 24],
    [71, 18],
    // A terminal whose size was never set is taken to be of the usual one.
    [0, 24],
  ] as const) {
    const { written, stream } = sink(true, columns);
    new Progress('working', stream, 'xterm').update(0, 'half of something that is rather long');
    t.true(written.at(-1)?.includes(` ${'░'.repeat(width)}   0%  half of`), written.at(-1));
    t.true(written.at(-1)?.endsWith('rather long'));
  }
});

test('progress keeps to one line of a terminal, and is plain lines elsewhere', (t) => {
  const bar = sink(true, 41);
  const progress = new Progress('working', bar.stream, 'xterm');
  progress.update(0.5, 'half of something that is rather long');
  t.is(bar.written.at(-1), '\r\u001B[2Khalf of something that is rather long');
  progress.note('by the way');
  t.is(bar.written.at(-1), '\r\u001B[2Kby the way\n', 'a note takes the place of the bar');
  progress.close();
  t.is(bar.written.length, 2, 'there is no bar to leave');
  for (const [isTTY, terminal] of [
    [false, 'xterm'],
    [true, 'dumb'],
  ] as const) {
    const { written, stream } = sink(isTTY);
    const plain = new Progress('working', stream, terminal);
    plain.update(0.5, 'half');
    plain.update(0.6, 'a moment later');
    plain.note('by the way');
    plain.close();
    t.deepEqual(written, ['working  50%  half\n', 'by the way\n']);
  }
});
