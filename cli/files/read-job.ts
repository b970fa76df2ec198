import { readFile } from 'node:fs/promises';
import { dirname, extname, resolve } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { parseTrainingJob } from '../../soap/job/parse.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { isBuiltin } from '../../soap/models/index.ts';
import { FileError } from '../../soap/schema/check.ts';
import { fileReason } from '../../runtime/storage/file-reason.ts';
import { UsageError } from '../command-line/usage-error.ts';
import { messageOf } from '../../soap/message-of.ts';

/** A job of this machine. */
export interface LocalJob {
  readonly job: TrainingJob;
  /** What the job's paths are relative to: the folder of its file. */
  readonly directory: string;
}

/** Reads a TrainingJob file. @throws {FileError} with all problems; @throws {Error} where it cannot be read */
export async function readJob(path: string): Promise<LocalJob> {
  refuseModel(path);
  const value = await readYaml(path, 'a TrainingJob');
  const parsed = parseTrainingJob(value);
  if ('problems' in parsed) throw new FileError(path, parsed.problems);
  return { job: parsed.job, directory: dirname(resolve(path)) };
}

/** @throws {UsageError} for a model where a job is asked for */
function refuseModel(path: string): void {
  const isFile = extname(path) === '.onnx';
  if (!isFile && !isBuiltin(path)) return;
  const field = isFile ? 'spec.model.onnx' : 'spec.model.builtin.name';
  throw new UsageError(
    `${path} is a model; expected a TrainingJob, whose ${field} names it: see docs/reference/job.md, or take soapstone plan or check, ` +
      'which read models by themselves',
  );
}

/** Reads a YAML or JSON file. @throws {Error} a sentence with the place of a mistake */
export async function readYaml(path: string, expected: string): Promise<unknown> {
  return parseYaml(await readText(path), path, expected);
}

/** The value of a YAML or JSON text. @throws {Error} a sentence with the place of a mistake */
export function parseYaml(text: string, path: string, expected: string): unknown {
  // The library's own message for this is about its functions.
  if (/^---\s/m.test(text) && parseAllDocuments(text, { logLevel: 'error' }).length > 1) {
    throw new Error(`${path} has several documents; expected ${expected}: keep each in a file of its own`);
  }
  try {
    const value: unknown = parse(text, { maxAliasCount: 100, logLevel: 'error' });
    return value;
  } catch (error) {
    const reason = messageOf(error).split('\n')[0]!.replace(/:$/, '');
    throw new Error(`${path} is not YAML: ${reason}; expected ${expected}`, { cause: error });
  }
}

/** Reads a text file. @throws {Error} a sentence where that fails */
export async function readText(path: string): Promise<string> {
  return readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(`cannot read ${path}: ${fileReason(error)}; see that the path is right`, { cause: error });
  });
}
