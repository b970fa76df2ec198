import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readStored } from '../../operator/planning/model-file.ts';
import { readFetchedModel } from '../../runtime/model/fetched-model.ts';
import type { ModelSource } from '../../soap/job/training-job.ts';
import type { Arguments } from '../command-line/arguments.ts';
import { text } from '../command-line/arguments.ts';
import type { Access } from './access.ts';
import type { StoredPlan } from './job-objects.ts';

/** Files on this machine that a command about a plan needs. */
export interface PlanFiles {
  /** Where they are; it goes with them. */
  readonly folder: string;
  readonly plan: string;
  /** The model's ONNX file; undefined for a built-in model. */
  readonly onnx: string | undefined;
}

/**
 * Lays a job's plan and model out as files for as long as they are used. The model is the one that `--onnx` names, else that of the
 * job's storage.
 * @throws {Error} a sentence where the model cannot be read from the storage
 */
export async function withPlanFiles<T>(
  access: Access,
  { plan, job }: StoredPlan,
  args: Arguments,
  use: (files: PlanFiles) => Promise<T>,
): Promise<T> {
  const folder = await mkdtemp(join(tmpdir(), 'soapstone-plan-'));
  try {
    const planFile = join(folder, 'plan.json');
    await writeFile(planFile, plan);
    return await use({ folder, plan: planFile, onnx: text(args, 'onnx') ?? (await storedModel(access, job, folder)) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function storedModel(access: Access, job: StoredPlan['job'], folder: string): Promise<string | undefined> {
  const { namespace } = access;
  const { model: source } = job.spec;
  if ('builtin' in source) return undefined;
  const model = await readSource(source, job, access).catch((error: unknown) => {
    throw new Error(
      `the model of ${namespace}/${job.metadata.name} cannot be read from here; say where it is by --onnx FILE`,
      { cause: error },
    );
  });
  const file = join(folder, 'model.onnx');
  await writeFile(file, model);
  return file;
}

/** A model with a URL is fetched by this machine, as for `soapstone plan`. */
function readSource(
  source: Exclude<ModelSource, { builtin: object }>,
  job: StoredPlan['job'],
  { core, namespace }: Access,
): Promise<Uint8Array> {
  if ('url' in source) return readFetchedModel(source);
  return readStored(source.onnx, 'model', job, namespace, { core, hostPathAllowed: false });
}
