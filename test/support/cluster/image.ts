import { execFile } from 'node:child_process';
import { copyFile, cp, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import process from 'node:process';
import { promisify } from 'node:util';

const CHECKOUT = new URL('../../..', import.meta.url).pathname;

/** One line of a Dockerfile, continuations joined. */
interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** What was built: a folder with the image's /opt and /usr/local/bin, and how its processes start. */
export interface Image {
  readonly env: Readonly<Record<string, string>>;
  /** Numeric, `uid:gid`. */
  readonly user: string;
  /** Runs a command as a container would: its user, its environment, its /opt, and nothing of the checkout. */
  run(...command: string[]): Promise<{ code: number; output: string }>;
  remove(): Promise<void>;
}

async function readDockerfile(): Promise<Instruction[]> {
  const text = await readFile(join(CHECKOUT, 'Dockerfile'), 'utf8');
  const lines = text.replaceAll(/\\\n/g, ' ').split('\n');
  return lines.flatMap((line) => {
    const [, name, rest] = /^([A-Z]+)\s+(.*)$/.exec(line) ?? [];
    return name === undefined || rest === undefined ? [] : [{ name, text: rest }];
  });
}

/**
 * Builds the image without a daemon: the base is this machine, each stage is a folder, and the steps are done in it, in a mount
 * namespace where the stage's /opt and /usr/local/bin take the place of the machine's.
 * @param install whether packages are installed as the Dockerfile says; else those of the checkout are used
 */
export async function buildImage(install: boolean): Promise<Image> {
  const root = await mkdtemp(join(tmpdir(), 'soapstone-image-'));
  const env: Record<string, string> = {};
  let [stage, workdir, user] = ['', '/', '0:0'];
  for (const { name, text } of await readDockerfile()) {
    const words = text.split(/\s+/);
    if (name === 'FROM') {
      stage = join(root, words[2] ?? 'image');
      await mkdir(join(stage, 'opt'), { recursive: true });
      await mkdir(join(stage, 'usr/local/bin'), { recursive: true });
      await copyFile(process.execPath, join(stage, 'usr/local/bin/node'));
    } else if (name === 'WORKDIR') {
      workdir = text;
      await mkdir(join(stage, workdir), { recursive: true });
    } else if (name === 'COPY') await copy(root, join(stage, workdir), words);
    else if (name === 'RUN' && !install && text.startsWith('npm ')) await mkdir(join(stage, workdir, 'node_modules'));
    else if (name === 'RUN') await inStage(stage, workdir, '0:0', env, install, ['sh', '-c', text]);
    else if (name === 'ENV') env[text.split('=')[0] ?? ''] = text.slice(text.indexOf('=') + 1);
    else if (name === 'USER') user = text;
  }
  return {
    env,
    user,
    run: (...command) => attempt(() => inStage(stage, workdir, user, env, install, command)),
    remove: () => rm(root, { recursive: true, force: true }),
  };
}

async function copy(root: string, target: string, words: readonly string[]): Promise<void> {
  const from = words.find((word) => word.startsWith('--from='))?.slice('--from='.length);
  const paths = words.filter((word) => !word.startsWith('--'));
  const destination = resolve(target, paths.at(-1) ?? '.');
  for (const path of paths.slice(0, -1)) {
    const source = from === undefined ? resolve(CHECKOUT, path) : join(root, from, path);
    const isFolder = from !== undefined || !/\.[a-z]+$/.test(path);
    await cp(source, isFolder ? destination : join(destination, path), { recursive: true });
  }
}

async function inStage(
  stage: string,
  workdir: string,
  user: string,
  env: Readonly<Record<string, string>>,
  installed: boolean,
  command: readonly string[],
): Promise<string> {
  const [uid, gid] = user.split(':');
  const script = [
    `mount --bind '${stage}/opt' /opt`,
    `mount --bind '${stage}/usr/local/bin' /usr/local/bin`,
    // Mounted, and not linked: the image's user may not be allowed into the folders above the checkout.
    ...(installed ? [] : [`mount --bind '${CHECKOUT}node_modules' '${workdir}/node_modules'`]),
    `cd '${workdir}'`,
    `exec setpriv --reuid=${uid} --regid=${gid} --clear-groups "$@"`,
  ].join('\n');
  const args = ['--mount', '--propagation', 'private', 'sh', '-ec', script, 'sh', ...command];
  const PATH = '/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin';
  const options = { env: { ...env, PATH, HOME: '/tmp' }, maxBuffer: 1e8 };
  const { stdout, stderr } = await promisify(execFile)('unshare', args, options);
  return stdout + stderr;
}

async function attempt(action: () => Promise<string>): Promise<{ code: number; output: string }> {
  try {
    return { code: 0, output: await action() };
  } catch (error) {
    const { code, stdout, stderr }: { code?: unknown; stdout?: unknown; stderr?: unknown } = Object(error);
    return { code: Number(code), output: `${String(stdout)}${String(stderr)}` };
  }
}
