import { createHash, randomUUID } from 'node:crypto';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import process from 'node:process';
import type { FetchedModel } from '../../soap/job/training-job.ts';
import type { FetchPolicy } from '../../soap/fetch/fetch.ts';
import { fetchVerified } from '../../soap/fetch/fetch.ts';
import { writeError } from '../storage/whole-file.ts';
import { cacheFolder } from '../storage/cache-folder.ts';

/**
 * The user's own machine and the job's own pods fetch for nobody else, so that no address is kept from them; in a cluster the job's
 * NetworkPolicy says where its pods may go. Source of the size: a protobuf message, and so an ONNX file, ends at 2 GiB.
 */
const POLICY: FetchPolicy = {
  urlRefusal: ({ protocol }) =>
    protocol === 'https:' || protocol === 'http:' ? undefined : `${protocol} is not fetched; expected https:`,
  addressRefusal: () => undefined,
  maxBytes: 2 ** 31,
  timeoutMs: 600_000,
};

/** Folder that keeps what was fetched. */
const CACHE_VARIABLE = 'SOAPSTONE_CACHE';

/**
 * Reads a model that is fetched, from the cache where it is there already: the folder SOAPSTONE_CACHE, else one of the user's.
 * @throws {FetchError} where it cannot be fetched, or is another file
 * @throws {Error} a sentence where it cannot be kept; nothing of it stays in the cache
 */
export async function readFetchedModel(
  { url, sha256 }: FetchedModel,
  policy: FetchPolicy = POLICY,
): Promise<Uint8Array> {
  const folder = modelsFolder();
  const path = join(folder, `${sha256}.onnx`);
  const kept = await readFile(path).catch(() => undefined);
  if (kept !== undefined && createHash('sha256').update(kept).digest('hex') === sha256) return kept;
  const content = await fetchVerified(url, sha256, policy);
  // Renamed when it is whole: other processes, also of other pods that share the cache and the numbers of processes, may look for it.
  const part = `${path}.${randomUUID()}`;
  try {
    await mkdir(folder, { recursive: true });
    await writeFile(part, content);
    await rename(part, path);
  } catch (error) {
    await rm(part, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  }
  return content;
}

function modelsFolder(): string {
  const { [CACHE_VARIABLE]: own = '' } = process.env;
  return own === '' ? join(cacheFolder(), 'models') : own;
}
