import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { readModelFile } from '../../operator/planning/model-file.ts';
import type { Arguments } from '../arguments.ts';
import { text } from '../arguments.ts';
import type { Access } from './access.ts';
import type { StoredPlan } from './job-objects.ts';

/** Files on this machine that a command about a plan needs. */
export interface PlanFiles {
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
    return await use({ plan: planFile, onnx: text(args, 'onnx') ?? (await storedModel(access, job, folder)) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function storedModel(access: Access, job: StoredPlan['job'], folder: string): Promise<string | undefined> {
  const { core, namespace } = access;
  const model = await readModelFile(job, namespace, { core, hostPathAllowed: false }).catch((error: unknown) => {
    throw new Error(
      `the model of ${namespace}/${job.metadata.name} is not in a ConfigMap that can be read from here; say where it is by --onnx FILE`,
      { cause: error },
    );
  });
  if (model === undefined) return undefined;
  const file = join(folder, 'model.onnx');
  await writeFile(file, model);
  return file;
}
