import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { TLSSocket } from 'node:tls';

/** Takes the bytes of a socket. */
export interface ByteTaker {
  /** Where the next bytes are to be written, as many as come. Never empty. */
  next(): Uint8Array;
  /** Takes so many bytes that were written there. */
  took(count: number): void;
}

/**
 * Reads a connected socket into memory of the taker's from now on. Returns the socket to go on with.
 *
 * A stream allocates 64 KiB for each read; the kernel must then write to pages that are not there yet, which costs three times
 * what the same read into memory that is used again does (docs/performance.md). `net.Socket` reads into memory that it is given, by its option
 * `onread`, which is for sockets that are still to be made: so the connection under this one gets a new one. Where that is not
 * possible, as with TLS, what comes is copied.
 * @param socket that nobody else reads
 */
export function readDirectly(socket: Duplex, taker: ByteTaker): Duplex {
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
  return socket.on('data', (bytes: Uint8Array) => {
    for (let start = 0; start < bytes.length;) {
      const target = taker.next();
      const count = Math.min(target.length, bytes.length - start);
      target.set(bytes.subarray(start, start + count));
      taker.took(count);
      start += count;
    }
  });
}
