import type { Hash } from 'node:crypto';
import { createHash } from 'node:crypto';
import type { FileHandle } from 'node:fs/promises';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../soap/message-of.ts';

/** Written and hashed at a time: hashing a GiB takes a second or more, in which the peers would not be answered. */
const SLICE_BYTES = 16 * 2 ** 20;

/** What was written, to check it by. */
export interface Written {
  readonly bytes: number;
  /** SHA-256 in hexadecimal digits. */
  readonly sha256: string;
}

/** Bytes of a file in order, all there or made one after the other. */
type FileParts = readonly Uint8Array[] | AsyncIterable<Uint8Array>;

/** Writes bytes under a name that never shows part of them: to a neighbour first, which is renamed once it is on disk. */
export async function writeWhole(path: string, parts: FileParts): Promise<Written> {
  const directory = dirname(path);
  const partial = join(directory, `.${basename(path)}.partial`);
  try {
    await mkdir(directory, { recursive: true });
    const written = await writeSynced(partial, parts);
    await rename(partial, path);
    await syncFolder(directory);
    return written;
  } catch (error) {
    await rm(partial, { force: true }).catch(() => undefined);
    throw writeError(path, error);
  }
}

/** Puts a folder's entries on disk. */
export async function syncFolder(directory: string): Promise<void> {
  await withFile(directory, 'r', (folder) => folder.sync());
}

/** What a failure to write means, and the cure. */
export function writeError(path: string, error: unknown): Error {
  const reason = messageOf(error);
  return new Error(`cannot write '${path}': ${reason}; see that the volume is mounted, writable and not full`, {
    cause: error,
  });
}

async function writeSynced(path: string, parts: FileParts): Promise<Written> {
  const hash: Hash = createHash('sha256');
  let bytes = 0;
  await withFile(path, 'w', async (file) => {
    for await (const part of parts) {
      for (let start = 0; start < part.byteLength; start += SLICE_BYTES) {
        const slice = part.subarray(start, start + SLICE_BYTES);
        await file.writeFile(slice);
        hash.update(slice);
      }
      bytes += part.byteLength;
    }
    await file.sync();
  });
  return { bytes, sha256: hash.digest('hex') };
}

async function withFile(path: string, flags: string, use: (file: FileHandle) => Promise<void>): Promise<void> {
  const file = await open(path, flags);
  try {
    await use(file);
  } finally {
    await file.close();
  }
}
