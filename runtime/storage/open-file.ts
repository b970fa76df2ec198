import type { FileHandle } from 'node:fs/promises';
import { open, stat } from 'node:fs/promises';
import { readCached } from './cached-bytes.ts';
import { fileReason } from './file-reason.ts';
import { readFailure } from './missing-file.ts';
import { storagePath } from './storage-path.ts';

/** A file of a job with its size. */
export interface OpenFile {
  readonly file: FileHandle;
  readonly bytes: number;
  /** When it was changed last, in milliseconds since the epoch. */
  readonly changedMs: number;
  /** Name for messages: the path as the job gives it. */
  readonly source: string;
}

/** Opens a file in storage for reading. @throws {Error} a sentence where it is missing */
export async function openFile(directory: string, path: string): Promise<OpenFile> {
  const full = storagePath(directory, path);
  try {
    // A pipe would keep open() waiting for a writer, a folder would fail at the first read.
    const status = await stat(full);
    if (!status.isFile()) throw new Error('it is no regular file');
    return { file: await open(full), bytes: status.size, changedMs: status.mtimeMs, source: path };
  } catch (error) {
    const isClosed = error instanceof Error && 'code' in error && error.code === 'EACCES';
    const cure = isClosed ? 'give it the right, as chmod a+r does' : 'put it there, or correct the path in the job';
    const message = `cannot read '${path}' in ${directory}: ${fileReason(error)}; ${cure}`;
    throw readFailure(message, error);
  }
}

/** Pieces that are read at once: more than the threads that read, few enough to be no burden on memory. */
const AT_ONCE = 16;

/** Reads pieces of equal length, some at once, and gives them in order. */
export async function* readPieces(
  file: OpenFile,
  positions: readonly number[],
  bytes: number,
): AsyncGenerator<Uint8Array> {
  for (let start = 0; start < positions.length; start += AT_ONCE) {
    yield* await Promise.all(
      positions.slice(start, start + AT_ONCE).map((position) => readExactly(file, position, bytes)),
    );
  }
}

/** Most that is read in one call. Source: Node takes lengths of int32, and ends the process at any other. */
const MAX_READ_BYTES = 2 ** 30;

/** Reads exactly so many bytes, to a buffer that holds nothing else. @throws {Error} a sentence where the file ends before */
export async function readExactly({ file, source }: OpenFile, position: number, bytes: number): Promise<Uint8Array> {
  const buffer = new Uint8Array(bytes);
  if (readCached(file.fd, position, buffer)) return buffer;
  let filled = 0;
  while (filled < bytes) {
    const length = Math.min(MAX_READ_BYTES, bytes - filled);
    const { bytesRead } = await file.read(buffer, filled, length, position + filled);
    if (bytesRead === 0)
      throw new Error(`'${source}' ended at byte ${position + filled}; expected ${position + bytes}`);
    filled += bytesRead;
  }
  return buffer;
}
