import { randomUUID } from 'node:crypto';
import { closeSync, constants, fstatSync, openSync, unlinkSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { loadNative } from '../kernels/native-library.ts';
import { WireError } from '../wire/header.ts';

const MIB = 2 ** 20;

/** Memory of one direction between two processes of a machine: twice what a peer may send unasked. */
export const AREA_BYTES: number = 16 * MIB;

const FOLDER = '/dev/shm';
const NAME = /^soapstone-[0-9a-f-]{36}$/;

/** Of mmap. Source: bits/mman-linux.h and bits/mman-map-flags-generic.h of glibc. */
const PROTECTION = { read: 1, write: 3 } as const;
const SHARED_AND_PRESENT = 0x1 | 0x8000;

/** Memory that another process maps by its name. It lasts as long as the process. */
export interface SharedArea {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Takes the name away: what is mapped stays, and nothing is left behind when the processes end. */
  forget(): void;
}

/** Makes an area. Undefined where the machine has no such memory, or none left. */
export function createArea(): SharedArea | undefined {
  if (process.platform !== 'linux') return undefined;
  const name = `soapstone-${randomUUID()}`;
  const path = `${FOLDER}/${name}`;
  let file: number | undefined;
  try {
    file = openSync(path, constants.O_CREAT | constants.O_EXCL | constants.O_RDWR, 0o600);
    // A page that is not there yet when it is written to, and cannot be had, would end the process.
    const zeros = new Uint8Array(MIB);
    for (let start = 0; start < AREA_BYTES; start += writeSync(file, zeros, 0, MIB, start));
    return { name, bytes: mapFile(file, AREA_BYTES, 'write'), forget: () => unlinkSync(path) };
  } catch {
    if (file !== undefined) unlinkSync(path);
    return undefined;
  } finally {
    if (file !== undefined) closeSync(file);
  }
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
    return mapFile(file, AREA_BYTES, 'write');
  } finally {
    closeSync(file);
  }
}

let mmap: ((...values: readonly (number | null)[]) => bigint) | undefined;

/**
 * The first bytes of a file as memory that lasts as long as the process, its pages in place.
 * @param access whether this process may write it; where it may not, writing to the memory ends the process
 * @throws {WireError} where the system refuses
 */
export function mapFile(file: number, bytes: number, access: keyof typeof PROTECTION): Uint8Array {
  mmap ??= loadNative('libc.so.6').func('void *mmap(void *, size_t, int, int, int, int64_t)');
  const address = mmap(null, bytes, PROTECTION[access], SHARED_AND_PRESENT, file, 0);
  // MAP_FAILED is -1.
  if (BigInt.asIntN(64, address) === -1n) throw new WireError('shared memory cannot be mapped');
  return new Uint8Array(koffi.view(address, bytes));
}
