import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, ftruncateSync, openSync, unlinkSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { loadNative } from '../kernels/native-library.ts';
import { WireError } from '../wire/header.ts';

const MIB = 2 ** 20;

/** Memory of one direction between two processes of a machine: twice what a peer may send unasked. */
export const AREA_BYTES: number = 16 * MIB;

const ZEROS = new Uint8Array(MIB);

const FOLDER = '/dev/shm';
const NAME = /^soapstone-[0-9a-f-]{36}$/;

/** Of mmap. Source: bits/mman-linux.h and bits/mman-map-flags-generic.h of glibc. */
const PROTECTION = { read: 1, write: 3 } as const;
const [SHARED, PRESENT] = [0x1, 0x8000];

/** Memory that another process maps by its name. It is mapped as long as the process lives, and takes no more than was reserved. */
export interface SharedArea {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Sees to it that the bytes before `end` are there and may be written. Returns whether they are. */
  reserve(end: number): boolean;
  /** Takes the name away: what is mapped stays, and nothing is left behind when the processes end. */
  forget(): void;
  /** Nothing more is reserved from then on. */
  close(): void;
}

/** Makes an area that takes no memory yet. Undefined where the machine has no such memory. */
export function createArea(): SharedArea | undefined {
  if (process.platform !== 'linux') return undefined;
  const name = `soapstone-${randomUUID()}`;
  const path = `${FOLDER}/${name}`;
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
    ftruncateSync(file, AREA_BYTES);
    const bytes = mapFile(file, AREA_BYTES, 'write', 'later');
    return { name, bytes, ...reservation(file), forget: () => unlinkSync(path) };
  } catch {
    if (file !== undefined) {
      closeSync(file);
      unlinkSync(path);
    }
    return undefined;
  }
}

/**
 * Takes memory for an area, a MiB at a time. A page that is not there when mapped memory is written to, and cannot be had, would end the
 * process; writing to the file only fails.
 */
function reservation(opened: number): Pick<SharedArea, 'reserve' | 'close'> {
  let file: number | undefined = opened;
  let reserved = 0;
  return {
    reserve(end) {
      if (file === undefined) return end <= reserved;
      try {
        while (reserved < end) reserved += writeSync(file, ZEROS, 0, MIB, reserved);
      } catch {
        // There is none left now; there may be later.
      }
      return end <= reserved;
    },
    close() {
      if (file !== undefined) closeSync(file);
      file = undefined;
    },
  };
}

/** Maps the area of another process; undefined where it cannot be opened. @throws {WireError} for a name or a file that is none */
export function openArea(name: string): Uint8Array | undefined {
  if (!NAME.test(name))
    throw new WireError(`it names shared memory '${name.slice(0, 64)}'; expected a name of its own`);
  let file: number;
  try {
    file = openSync(`${FOLDER}/${name}`, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
  try {
    const { size } = fstatSync(file);
    if (size !== AREA_BYTES) throw new WireError(`its shared memory has ${size} bytes; expected ${AREA_BYTES}`);
    return mapFile(file, AREA_BYTES, 'write', 'later');
  } finally {
    closeSync(file);
  }
}

let mmap: ((...values: readonly (number | null)[]) => bigint) | undefined;

/**
 * The first bytes of a file as memory that lasts as long as the process.
 * @param pages whether they are put in place now, or each when it is first read or written
 * @param access whether this process may write it; where it may not, writing to the memory ends the process
 * @throws {WireError} where the system refuses
 */
export function mapFile(
  file: number,
  bytes: number,
  access: keyof typeof PROTECTION,
  pages: 'now' | 'later',
): Uint8Array {
  mmap ??= loadNative('libc.so.6').func('void *mmap(void *, size_t, int, int, int, int64_t)');
  const address = mmap(null, bytes, PROTECTION[access], pages === 'now' ? SHARED | PRESENT : SHARED, file, 0);
  // MAP_FAILED is -1.
  if (BigInt.asIntN(64, address) === -1n) throw new WireError('shared memory cannot be mapped');
  return new Uint8Array(koffi.view(address, bytes));
}
