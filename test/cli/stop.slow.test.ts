import type { ChildProcess } from 'node:child_process';
import { spawn } from 'node:child_process';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';
import test from 'ava';
import { makeCertificate } from '../support/certificates.ts';
import { childrenOf } from '../support/children-of.ts';

const MAIN = new URL('../../cli/main.ts', import.meta.url).pathname;
const GOLDEN = new URL('../golden/mlp', import.meta.url).pathname;

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

class Run {
  readonly child: ChildProcess;
  readonly ended: Promise<Ended>;
  #stderr = '';
  #onStderr: () => void = () => undefined;

  constructor(job: string, ...args: string[]) {
    const all = [MAIN, 'run', job, '--devices', '2', '--strategy', 'data', ...args];
    const child = spawn(process.execPath, all, { stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    child.stdout.on('data', (data: Buffer) => (stdout += data.toString()));
    child.stderr.on('data', (data: Buffer) => {
      this.#stderr += data.toString();
      this.#onStderr();
    });
    this.child = child;
    this.ended = new Promise((resolve) => {
      child.once('close', (code) => resolve({ code, stdout, stderr: this.#stderr }));
    });
  }

  /** Resolves when it has said something. */
  says(pattern: RegExp): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onStderr = () => {
        if (pattern.test(this.#stderr)) resolve();
      };
      this.#onStderr();
      void this.ended.then(({ stderr }) => reject(new Error(`it ended without: ${stderr}`)));
    });
  }
}

/** A copy of golden mlp that trains so many steps, with checkpoints at the end only. */
async function mlp(steps: number): Promise<{ directory: string; job: string }> {
  const directory = await mkdtemp(join(tmpdir(), 'soapstone-'));
  await cp(GOLDEN, directory, { recursive: true });
  const job = join(directory, 'job.yaml');
  const text = (await readFile(job, 'utf8')).replace('steps: 20', `steps: ${steps}`);
  await writeFile(job, `${text}  checkpoint: { directory: checkpoints, everySteps: 1000000, keep: 2 }\n`);
  return { directory, job };
}

const TRAINING = /step \d+\/\d+/;

for (const [signal, code] of [
  ['SIGTERM', 143],
  ['SIGINT', 130],
] as const) {
  test.serial(
    `${signal}: all devices stop after one step with a checkpoint, from which the curve goes on bit for bit`,
    async (t) => {
      const { directory, job } = await mlp(1_000_000);
      const run = new Run(job, '--output', 'json');
      await run.says(TRAINING);
      run.child.kill(signal);
      const first = await run.ended;
      t.is(first.code, code, first.stderr);
      const { losses, stopped, checkpoint }: { losses: number[]; stopped: { step: number }; checkpoint: string } =
        JSON.parse(first.stdout);
      t.is(losses.length, stopped.step);
      t.is(checkpoint.split('-').at(-1), String(stopped.step).padStart(8, '0'));
      t.deepEqual(await readdir(join(directory, 'checkpoints')), [checkpoint.split('/').at(-1)!]);

      const steps = String(stopped.step + 5);
      const rest = await new Run(job, '--resume', '--steps', steps, '--output', 'json').ended;
      const whole = await new Run(job, '--steps', steps, '--output', 'json').ended;
      const lossesOf = ({ stdout, stderr }: Ended): number[] => {
        const result: { losses: number[] } = JSON.parse(stdout || `{"losses":[]}`);
        t.is(stderr.includes('soapstone:'), false, stderr);
        return result.losses;
      };
      t.deepEqual([...losses, ...lossesOf(rest)], lossesOf(whole));
      await rm(directory, { recursive: true });
    },
  );
}

test.serial(
  'a person is told where the checkpoint is and how to go on; TLS between devices changes nothing',
  async (t) => {
    const { directory, job } = await mlp(1_000_000);
    const { certificate, key, authority } = makeCertificate();
    await writeFile(join(directory, 'tls.crt'), certificate);
    await writeFile(join(directory, 'tls.key'), key);
    const untrusted = await new Run(job, '--tls', directory).ended;
    t.is(untrusted.code, 2);
    t.regex(
      untrusted.stderr,
      /cannot read ca\.crt in .*: there is no such file; expected the certificate of the authority/,
    );
    await writeFile(join(directory, 'ca.crt'), authority);

    const run = new Run(job, '--tls', directory);
    await run.says(TRAINING);
    run.child.kill('SIGINT');
    const { stdout, code } = await run.ended;
    t.is(code, 130);
    t.regex(
      stdout,
      /stopped after step \d+; go on with: soapstone run \S+\/job\.yaml --devices 2 --strategy data --tls \S+ --resume/,
    );
    t.regex(stdout, /checkpoint: .*step-\d{8}/);
    await rm(directory, { recursive: true });
  },
);

test.serial('without a checkpoint none is promised, and one device is not called devices', async (t) => {
  const { directory, job } = await mlp(1_000_000);
  await writeFile(job, (await readFile(job, 'utf8')).replace(/^ {2}checkpoint: .*$/m, ''));
  const run = new Run(job, '--devices', '1');
  await run.says(TRAINING);
  run.child.kill('SIGINT');
  const { stdout, stderr } = await run.ended;
  t.regex(stderr, /\nfinishing a step; once more to end at once\n/);
  t.regex(stdout, /nothing was saved: give the job a checkpoint/);
  t.regex(stdout, /^job mlp: 1 device, one core each, \d+ GFLOP\/s \(an assumption about .*\)$/m);
  t.regex(stdout, /^trained \d+ steps by data on 1 device: loss /m);
  await rm(directory, { recursive: true });
});

test.serial('a second signal ends the run at once, also a device that does not answer', async (t) => {
  const { directory, job } = await mlp(1_000_000);
  const run = new Run(job);
  await run.says(TRAINING);
  const devices = childrenOf(run.child.pid!);
  t.is(devices.length, 2);
  // So that the first signal is not done with before the second comes.
  process.kill(devices[1]!, 'SIGSTOP');
  run.child.kill('SIGINT');
  await run.says(/finishing a step/);
  run.child.kill('SIGINT');
  const { code, stdout, stderr } = await run.ended;
  t.regex(stderr, /the run was ended at once; go on from its last checkpoint: soapstone run .* --resume/);
  t.is(code, 130);
  t.notRegex(stdout, /stopped after step/);
  for (const device of devices) t.throws(() => process.kill(device, 0), { code: 'ESRCH' });
  await rm(directory, { recursive: true });
});
