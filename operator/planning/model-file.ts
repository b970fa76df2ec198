import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CoreV1Api } from '@kubernetes/client-node';
import type { FetchPolicy } from '../../soap/fetch/fetch.ts';
import { fetchVerified } from '../../soap/fetch/fetch.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';

/** What the controller may read models and plans from. */
export interface FileSource {
  readonly core: CoreV1Api;
  /** Whether a job may make the controller read files of its own node: only where all users are trusted. */
  readonly hostPathAllowed: boolean;
  /** Where models are fetched from, and how much of them. */
  readonly fetching: FetchPolicy;
}

/**
 * Reads the ONNX file of a job from its storage or its URL; undefined for a built-in model.
 * @throws {Error} a sentence where the controller cannot reach it; {@link FetchError} where it may go better later
 */
export async function readModelFile(
  job: TrainingJob,
  namespace: string,
  source: FileSource,
): Promise<Uint8Array | undefined> {
  const { model } = job.spec;
  if ('url' in model) return fetchVerified(model.url, model.sha256, source.fetching);
  return 'onnx' in model ? readStored(model.onnx, 'model', job, namespace, source) : undefined;
}

/**
 * Reads the plan that a job gives; undefined where one is searched.
 * @throws {Error} a sentence where the controller cannot reach it
 */
export async function readPlanFile(
  job: TrainingJob,
  namespace: string,
  source: FileSource,
): Promise<string | undefined> {
  const { plan } = job.spec;
  if (plan === undefined) return undefined;
  return Buffer.from(await readStored(plan, 'plan', job, namespace, source)).toString();
}

async function readStored(
  path: string,
  what: 'model' | 'plan',
  { spec: { storage } }: TrainingJob,
  namespace: string,
  { core, hostPathAllowed }: FileSource,
): Promise<Uint8Array> {
  const configMap = storage?.['configMap'];
  if (isNamed(configMap)) return fromConfigMap(path, what, configMap.name, namespace, core);
  const hostPath = storage?.['hostPath'];
  if (isPath(hostPath) && hostPathAllowed) return fromHostPath(path, what, hostPath.path);
  throw new Error(
    `the controller cannot read ${what} '${path}' from this kind of storage; put it into a ConfigMap` +
      (what === 'model' ? ', or use a built-in model' : ', or let one be searched'),
  );
}

async function fromConfigMap(
  path: string,
  what: string,
  name: string,
  namespace: string,
  core: CoreV1Api,
): Promise<Uint8Array> {
  const { binaryData = {}, data = {} } = await core.readNamespacedConfigMap({ name, namespace });
  const content = binaryData[path];
  if (content !== undefined) return Buffer.from(content, 'base64');
  const text = data[path];
  if (text !== undefined) return Buffer.from(text);
  const keys = [...Object.keys(binaryData), ...Object.keys(data)].join(', ') || 'none';
  throw new Error(`ConfigMap '${name}' has no '${path}'; it has ${keys}: correct spec.${what}, or spec.storage`);
}

async function fromHostPath(path: string, what: string, directory: string): Promise<Uint8Array> {
  try {
    return await readFile(resolve(directory, path));
  } catch (error) {
    throw new Error(
      `the controller cannot read ${what} '${path}' in hostPath ${directory}: it is not on the controller's own node; ` +
        'put it into a ConfigMap',
      { cause: error },
    );
  }
}

function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}

function isPath(value: unknown): value is { readonly path: string } {
  return typeof value === 'object' && value !== null && 'path' in value && typeof value.path === 'string';
}
