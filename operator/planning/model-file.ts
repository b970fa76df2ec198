import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { CoreV1Api } from '@kubernetes/client-node';
import type { TrainingJob } from '../../soap/job/training-job.ts';

/**
 * Reads the ONNX file of a job from its storage.
 * @param hostPathAllowed whether a job may make the controller read files of its own node: only where all users are trusted
 * @throws {Error} a sentence where the controller cannot reach it
 */
export async function readModelFile(
  job: TrainingJob,
  namespace: string,
  core: CoreV1Api,
  hostPathAllowed: boolean,
): Promise<Uint8Array | undefined> {
  const { model, storage } = job.spec;
  if (!('onnx' in model)) return undefined;
  const configMap = storage?.['configMap'];
  if (isNamed(configMap)) return fromConfigMap(model.onnx, configMap.name, namespace, core);
  const hostPath = storage?.['hostPath'];
  if (isPath(hostPath) && hostPathAllowed) return fromHostPath(model.onnx, hostPath.path);
  throw new Error(
    `the controller cannot read model '${model.onnx}' from this kind of storage; ` +
      'put it into a ConfigMap, use a built-in model, or give a plan',
  );
}

async function fromConfigMap(path: string, name: string, namespace: string, core: CoreV1Api): Promise<Uint8Array> {
  const { binaryData = {} } = await core.readNamespacedConfigMap({ name, namespace });
  const content = binaryData[path];
  if (content !== undefined) return Buffer.from(content, 'base64');
  const keys = Object.keys(binaryData).join(', ') || 'none';
  throw new Error(
    `ConfigMap '${name}' has no binaryData '${path}'; it has ${keys}: correct spec.model.onnx or spec.storage`,
  );
}

async function fromHostPath(path: string, directory: string): Promise<Uint8Array> {
  try {
    return await readFile(resolve(directory, path));
  } catch (error) {
    throw new Error(
      `the controller cannot read model '${path}' in hostPath ${directory}: it is not on the controller's own node; ` +
        'put the model into a ConfigMap, use a built-in model, or give a plan',
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
