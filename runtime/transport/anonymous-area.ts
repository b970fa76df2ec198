import { closeSync, constants, fstatSync, openSync, readlinkSync } from 'node:fs';
import { loadNative } from '../kernels/native-library.ts';
import { WireError } from '../wire/header.ts';
import { mapFile } from './shared-area.ts';

const NAME = 'soapstone-gradients';

/** Source: linux/memfd.h. */
const CLOSE_ON_EXEC = 1;

/** Where another process of this machine, of the same user, finds an area. */
export interface AreaAddress {
  readonly pid: number;
  readonly file: number;
}

/** Memory without a name, which other processes map by its address. The memory lasts as long as one has it mapped. */
export interface AnonymousArea extends AreaAddress {
  readonly bytes: Uint8Array;
  /** Takes the address away, once all have mapped it. */
  close(): void;
}

interface Functions {
  readonly create: (name: string, flags: number) => number;
  readonly reserve: (file: number, mode: number, offset: number, length: number) => number;
}

let functions: Functions | undefined;

function nativeFunctions(): Functions {
  const libc = loadNative('libc.so.6');
  return {
    create: libc.func('int memfd_create(const char *, unsigned int)'),
    reserve: libc.func('int fallocate(int, int, int64_t, int64_t)'),
  };
}

/**
 * Makes an area of zeros. It counts against the memory of the pod and not against the size of its /dev/shm. Undefined where the
 * machine has no such memory, or none left.
 */
export function createAnonymousArea(bytes: number): AnonymousArea | undefined {
  if (process.platform !== 'linux') return undefined;
  functions ??= nativeFunctions();
  const file = functions.create(NAME, CLOSE_ON_EXEC);
  if (file < 0) return undefined;
  try {
    // A page that is not there yet when it is written to, and cannot be had, would end the process.
    if (functions.reserve(file, 0, 0, bytes) !== 0) throw new WireError('there is no memory left');
    return { pid: process.pid, file, bytes: mapFile(file, bytes, 'write', 'now'), close: () => closeSync(file) };
  } catch {
    closeSync(file);
    return undefined;
  }
}

/** Maps the area of another process, to read it. @throws {Error} where there is none of that size at the address */
export function readAnonymousArea({ pid, file }: AreaAddress, bytes: number): Uint8Array {
  const path = `/proc/${pid}/fd/${file}`;
  if (!readlinkSync(path).startsWith(`/memfd:${NAME}`))
    throw new WireError(`file ${file} of process ${pid} is no area`);
  const own = openSync(path, constants.O_RDONLY);
  try {
    const { size } = fstatSync(own);
    if (size !== bytes) throw new WireError(`its shared memory has ${size} bytes; expected ${bytes}`);
    return mapFile(own, bytes, 'read', 'now');
  } finally {
    closeSync(own);
  }
}
