import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';
import { NO_BYTES } from './link.ts';

/** What is read at once while the head is still to be taken. */
const FIRST_BYTES = 65_536;

/** Takes the bytes of a socket. */
export interface ByteTaker {
  /** Where the next bytes are to be written, as many as come. Never empty, but of a taker that has met what it does not take. */
  next(): Uint8Array;
  /** Takes so many bytes that were written there. */
  took(count: number): void;
}

/**
 * Reads a connected socket into memory of the taker's from now on. Returns the socket to go on with.
 *
 * A stream allocates 64 KiB for each read; the kernel must then write to pages that are not there yet, which costs three times
 * what the same read into memory that is used again does (docs/performance/transport.md). `net.Socket` reads into memory that it is given, by its option
 * `onread`, which is for sockets that are still to be made: so the connection under this one gets a new one. Where that is not
 * possible, as with TLS, what comes is copied.
 * @param socket that nobody else reads
 * @param head bytes of it that were read before; the taker gets them once the caller has its socket
 */
export function readDirectly(socket: Duplex, taker: ByteTaker, head: Uint8Array = NO_BYTES): Duplex {
  return readOn(socket, head.length === 0 ? taker : headFirst(head, taker));
}

/**
 * Gives a taker the bytes before those that are read. A socket asks where its first bytes are to go when it is made, which is before the
 * taker has had the head: they go to memory of their own.
 */
function headFirst(head: Uint8Array, taker: ByteTaker): ByteTaker {
  let first: Uint8Array | undefined = new Uint8Array(FIRST_BYTES);
  let waiting = head;
  const takeHead = (): void => {
    const bytes = waiting;
    waiting = NO_BYTES;
    give(bytes, taker);
  };
  queueMicrotask(takeHead);
  return {
    next: () => first ?? taker.next(),
    took(count) {
      takeHead();
      if (first === undefined) return taker.took(count);
      const bytes = first.subarray(0, count);
      first = undefined;
      give(bytes, taker);
    },
  };
}

function readOn(socket: Duplex, taker: ByteTaker): Duplex {
  const handle: unknown = socket instanceof TLSSocket ? undefined : Reflect.get(socket, '_handle');
  if (!(socket instanceof Socket) || typeof handle !== 'object' || handle === null) return readCopied(socket, taker);
  socket.setTimeout(0);
  Reflect.set(socket, '_handle', null);
  // Without its connection it only tells its server that it is gone.
  socket.destroy();
  const onread = {
    buffer: () => taker.next(),
    callback: (count: number): boolean => {
      taker.took(count);
      return true;
    },
  };
  // The option `handle` is in the types for sockets that are not connected yet alone.
  const direct: unknown = Reflect.construct(Socket, [{ handle, onread, readable: true, writable: true }]);
  if (!(direct instanceof Socket)) throw new TypeError('internal: no socket was made');
  // Its end is only reported when it flows.
  return direct.resume();
}

function readCopied(socket: Duplex, taker: ByteTaker): Duplex {
  return socket.on('data', (bytes: Uint8Array) => give(bytes, taker));
}

/** Copies bytes to where a taker wants them. */
function give(bytes: Uint8Array, taker: ByteTaker): void {
  for (let start = 0; start < bytes.length;) {
    const target = taker.next();
    if (target.length === 0) return;
    const count = Math.min(target.length, bytes.length - start);
    target.set(bytes.subarray(start, start + count));
    taker.took(count);
    start += count;
  }
}
