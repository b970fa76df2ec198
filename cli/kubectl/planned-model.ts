import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import type { Arguments } from '../arguments.ts';
import { text } from '../arguments.ts';
import type { Access } from './access.ts';
import { ask } from './access.ts';
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

/** The file of an ONNX model in a ConfigMap; undefined for a model that is built or fetched. */
async function storedModel(
  access: Access,
  { spec, metadata }: TrainingJob,
  folder: string,
): Promise<string | undefined> {
  if (!('onnx' in spec.model)) return undefined;
  const { core, namespace } = access;
  const configMap = spec.storage?.['configMap'];
  const cure = 'say where it is by --onnx FILE';
  if (!isNamed(configMap)) throw new Error(`the model of ${namespace}/${metadata.name} is not in a ConfigMap; ${cure}`);
  const { name } = configMap;
  const { binaryData = {}, data = {} } = await ask(`ConfigMap ${namespace}/${name}, which has the model`, () =>
    core.readNamespacedConfigMap({ name, namespace }),
  );
  const [binary, text] = [binaryData[spec.model.onnx], data[spec.model.onnx]];
  if (binary === undefined && text === undefined)
    throw new Error(`ConfigMap ${namespace}/${name} has no '${spec.model.onnx}' any more; ${cure}`);
  const file = join(folder, 'model.onnx');
  await writeFile(file, binary === undefined ? text! : Buffer.from(binary, 'base64'));
  return file;
}

function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}
