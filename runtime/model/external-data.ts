import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import type { ExternalData } from '../../soap/onnx/decode.ts';
import { formFailure, readFailure } from '../storage/missing-file.ts';
import { storagePath } from '../storage/storage-path.ts';

/**
 * Values that an ONNX file keeps in files beside it, as torch.onnx.export writes them by default; those are relative to the file's
 * folder, and in it. Source: docs/ExternalData.md of onnx.
 * @param model path of the ONNX file
 */
export function externalDataBeside(model: string): ExternalData {
  const folder = dirname(model);
  return (location, offset, length) => {
    const path = storagePath(folder, location);
    const file = open(path, location, model);
    try {
      const { size, mtimeMs } = fstatSync(file);
      const wanted = length ?? Math.max(0, size - offset);
      if (offset + wanted > size) {
        const message = `'${location}' has ${size} bytes; expected at least ${offset + wanted}: it is damaged or of another model, copy or export both again`;
        throw formFailure(new Error(message), mtimeMs);
      }
      return read(file, offset, wanted);
    } finally {
      closeSync(file);
    }
  };
}

function open(path: string, location: string, model: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    const message = `there is no '${location}' beside ${basename(model)} that can be read; put it there too, or export with external_data=False`;
    throw readFailure(message, error);
  }
}

/** A system call may read less than is asked for: two GiB at most. */
function read(file: number, offset: number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let done = 0;
  while (done < length) {
    const count = readSync(file, bytes, done, Math.min(length - done, 2 ** 30), offset + done);
    if (count === 0) throw new Error('a file became shorter while it was read');
    done += count;
  }
  return bytes;
}
