import { execFile } from 'node:child_process';
import { chmod, cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import process from 'node:process';
import { CHECKOUT } from './pages.ts';

/** Copied and not linked, since commands write below it. */
const WRITTEN = new Set(['examples']);
const LEFT_OUT = new Set(['.git', 'checkpoints']);
/** Ends a command with all that it started. */
const LIMIT = ['timeout', '--kill-after=5', '120'] as const;

/** A stand-in for a reader's checkout. */
export interface Workspace {
  readonly folder: string;
  /** Saves a file of a page, with little work to do. */
  save(name: string, text: string): Promise<void>;
  /** Runs one command line in bash. @returns its exit code and all it said */
  run(command: string): Promise<{ code: number; output: string }>;
  remove(): Promise<void>;
}

/**
 * Makes a folder with links to all of the checkout, in which `npx soapstone` does little work (see npx.ts).
 * @param env beside the environment of this process
 * @param path folders of programs that come before all others
 */
export async function createWorkspace(env: NodeJS.ProcessEnv = {}, path: readonly string[] = []): Promise<Workspace> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-docs-'));
  for (const name of await readdir(CHECKOUT)) {
    const [from, to] = [join(CHECKOUT, name), join(folder, name)];
    if (WRITTEN.has(name)) await cp(from, to, { recursive: true, verbatimSymlinks: true, filter: isKept });
    else if (isKept(name)) await symlink(from, to);
  }
  const save = async (name: string, text: string): Promise<void> => writeFile(join(folder, name), withLittleWork(text));
  for (const name of await readdir(join(folder, 'examples'), { recursive: true })) {
    if (!name.endsWith('job.yaml')) continue;
    await save(join('examples', name), await readFile(join(folder, 'examples', name), 'utf8'));
  }
  const programs = join(folder, '.programs');
  await mkdir(programs);
  await program(join(programs, 'npx'), `exec '${process.execPath}' '${CHECKOUT}test/docs/npx.ts' "$@"`);
  const PATH = [...path, programs, join(CHECKOUT, 'node_modules', '.bin'), process.env['PATH']].join(delimiter);
  return {
    folder,
    save,
    run: (command) =>
      new Promise((resolve) => {
        const options = { cwd: folder, env: { ...process.env, XDG_CACHE_HOME: join(folder, '.cache'), ...env, PATH } };
        execFile(LIMIT[0], [...LIMIT.slice(1), 'bash', '-ec', command], options, (error, stdout, stderr) => {
          const code = error === null ? 0 : typeof error.code === 'number' ? error.code : -1;
          resolve({ code, output: `${stdout}${stderr}` });
        });
      }),
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}

function isKept(path: string): boolean {
  return !LEFT_OUT.has(path.split('/').at(-1) ?? '');
}

async function program(path: string, line: string): Promise<void> {
  await writeFile(path, `#!/bin/sh\n${line}\n`);
  await chmod(path, 0o755);
}

/** A job file whose search ends at once, and whose tables of embeddings are a hundredth: filling them takes longer than a step. */
function withLittleWork(text: string): string {
  const short = text.replace(/(\n {2}search:(?: \{)?\s+seconds: )\d+/, '$10.3');
  return short.replace(/(?<=\n *rows: )[\d-]+/, (rows) =>
    rows.replaceAll(/\d+/g, (each) => String(Math.ceil(Number(each) / 100))),
  );
}
