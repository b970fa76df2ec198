import { readFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import type { CoreV1Api } from '@kubernetes/client-node';
import { ApiException } from '@kubernetes/client-node';
import type { FetchPolicy } from '../../soap/fetch/fetch.ts';
import { FetchError, fetchVerified } from '../../soap/fetch/fetch.ts';
import type { HandoffKind } from '../../soap/job/handoff.ts';
import { MAX_HANDOFF_CHARACTERS, readHandoff } from '../../soap/job/handoff.ts';
import type { TrainingJob } from '../../soap/job/training-job.ts';
import { decodeOnnx } from '../../soap/onnx/decode.ts';
import { encodeOnnx } from '../../soap/onnx/encode.ts';
import { apiMessage } from '../apply/cluster-client.ts';
import { isTransient } from '../apply/transient.ts';
import { messageOf } from '../../soap/message-of.ts';

/** Most that what a pod hands over may be unpacked: a compressed file can stand for a thousand times its size. */
const MAX_UNPACKED_BYTES = 64 * 2 ** 20;

/** Names that a file in a ConfigMap may have. Source: Kubernetes documentation, "ConfigMaps". */
const CONFIG_MAP_KEY = /^[-._a-zA-Z0-9]{1,253}$/;

/** What the controller may read models and plans from. */
export interface FileSource {
  readonly core: Pick<CoreV1Api, 'readNamespacedConfigMap' | 'readNamespacedPodLog'>;
  /** Whether a job may make the controller read files of its own node: only where all users are trusted. */
  readonly hostPathAllowed: boolean;
  /** Where models are fetched from, and how much of them. */
  readonly fetching: FetchPolicy;
}

/** What a search reads of a job's files; each is undefined where the job has none. */
export interface JobFiles {
  /** Content of the ONNX file. */
  readonly modelFile: Uint8Array | undefined;
  /** Whether the values of the model's weights are left out. */
  readonly withoutWeights: boolean;
  /** Text of the plan that the job gives. */
  readonly planFile: string | undefined;
}

/**
 * Reads the model of a job from its URL or storage, and the plan that it gives.
 * @param inspector name of the pod that has read the storage, where the controller cannot
 * @throws {Error} a sentence where they cannot be had; {@link FetchError} where that may go better later
 */
export async function readJobFiles(
  job: TrainingJob,
  namespace: string,
  inspector: string | undefined,
  source: FileSource,
): Promise<JobFiles> {
  const { model, plan } = job.spec;
  const log = inspector === undefined ? undefined : await readLog(inspector, namespace, source.core);
  const read = (path: string, kind: HandoffKind): Promise<Uint8Array> =>
    log === undefined ? readStored(path, kind, job, namespace, source) : handedOver(kind, log, inspector);
  const fetched = 'url' in model ? await fetchVerified(model.url, model.sha256, source.fetching) : undefined;
  const stored = 'onnx' in model ? await read(model.onnx, 'model') : undefined;
  return {
    modelFile: fetched ?? stored,
    withoutWeights: stored !== undefined && log !== undefined,
    planFile: plan === undefined ? undefined : Buffer.from(await read(plan, 'plan')).toString(),
  };
}

async function readLog(name: string, namespace: string, core: FileSource['core']): Promise<string> {
  try {
    return await core.readNamespacedPodLog({ name, namespace, limitBytes: MAX_HANDOFF_CHARACTERS });
  } catch (error) {
    throw new FetchError(`the log of pod ${name} could not be read: ${apiMessage(error)}`, true, error);
  }
}

/** A pod's log is whatever its image wrote. */
async function handedOver(kind: HandoffKind, log: string, pod: string | undefined): Promise<Uint8Array> {
  try {
    const compressed = Buffer.from(readHandoff(kind, log), 'base64');
    return await promisify(gunzip)(compressed, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (error) {
    throw new Error(
      `pod ${pod} did not hand over the ${kind}: ${messageOf(error)}; see its log, and that its image is of this version`,
      { cause: error },
    );
  }
}

/**
 * Reads a file of the job's storage that can be read without being mounted.
 * @throws {Error} a sentence where it cannot; {@link FetchError} where that may go better later
 */
export async function readStored(
  path: string,
  what: HandoffKind,
  { spec: { storage } }: Pick<TrainingJob, 'spec'>,
  namespace: string,
  { core, hostPathAllowed }: Pick<FileSource, 'core' | 'hostPathAllowed'>,
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
  core: FileSource['core'],
): Promise<Uint8Array> {
  const { binaryData = {}, data = {} } = await core
    .readNamespacedConfigMap({ name, namespace })
    .catch((error: unknown) => {
      // A job may be applied before its ConfigMap: its pods would wait for that too.
      const isMissing = error instanceof ApiException && error.code === 404;
      const cure = isMissing ? '; create it, or correct spec.storage' : '';
      const message = `ConfigMap '${name}' could not be read: ${apiMessage(error)}${cure}`;
      throw new FetchError(message, isMissing || isTransient(error), error);
    });
  const content = binaryData[path];
  const missing = (key: string, cure: string): FetchError => {
    const keys = [...Object.keys(binaryData), ...Object.keys(data)].join(', ') || 'none';
    // A key may be added after the job, as the whole ConfigMap may; one that no ConfigMap can have will not be.
    return new FetchError(`ConfigMap '${name}' has no '${key}'; it has ${keys}: ${cure}`, CONFIG_MAP_KEY.test(key));
  };
  if (content !== undefined)
    return withValuesInside(Buffer.from(content, 'base64'), binaryData, (location) =>
      missing(location, `add it, with the values that '${path}' keeps there`),
    );
  const text = data[path];
  if (text !== undefined) return Buffer.from(text);
  throw missing(path, `add it, or correct spec.${what === 'model' ? 'model.onnx' : 'plan'} or spec.storage`);
}

/**
 * A model with the values that it keeps in other files of its ConfigMap, so that it is whole without them; any other file as it is. What
 * is wrong with a model is told by its search, which has a thread of its own.
 * @param missing what to say where such a file is not there
 * @throws {FetchError} that, where the file may come yet
 */
function withValuesInside(
  content: Buffer,
  files: Readonly<Record<string, string>>,
  missing: (location: string) => FetchError,
): Uint8Array {
  // The key that names another file: without it there is none, and nothing to decode.
  if (!content.includes('location')) return content;
  let absent: FetchError | undefined;
  try {
    const inside = decodeOnnx(content, '', (location, offset, length) => {
      const file = files[location];
      if (file === undefined) throw (absent = missing(location));
      return Buffer.from(file, 'base64').subarray(offset, length === undefined ? undefined : offset + length);
    });
    return encodeOnnx(inside);
  } catch {
    if (absent?.passing === true) throw absent;
    return content;
  }
}

async function fromHostPath(path: string, what: string, directory: string): Promise<Uint8Array> {
  try {
    return await readFile(resolve(directory, path));
  } catch (error) {
    const isMissing = codeOf(error) === 'ENOENT';
    const reason = isMissing ? "there is no such file on the controller's own node" : messageOf(error);
    const cure = `${isMissing ? 'put it there' : 'make it readable there'}, or into a ConfigMap`;
    // As a ConfigMap, a file may come after its job.
    throw new FetchError(
      `the controller cannot read ${what} '${path}' in hostPath ${directory}: ${reason}; ${cure}`,
      isMissing,
      error,
    );
  }
}

function codeOf(error: unknown): unknown {
  return error instanceof Error && 'code' in error ? error.code : undefined;
}

function isNamed(value: unknown): value is { readonly name: string } {
  return typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string';
}

function isPath(value: unknown): value is { readonly path: string } {
  return typeof value === 'object' && value !== null && 'path' in value && typeof value.path === 'string';
}
