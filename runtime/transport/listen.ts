import type { AddressInfo, Server } from 'node:net';

/** Where a server is reached. */
export interface Address {
  readonly host: string;
  /** 0 takes any free one. */
  readonly port: number;
}

/**
 * Lets a server listen. What goes wrong later, such as a connection for which the process had no file descriptor (EMFILE), is told
 * each time, and ends nothing.
 * @param what cannot be done where the address is taken, such as `cannot serve metrics on`
 * @returns the port, which the system has chosen where it was 0
 * @throws {Error} a sentence where it cannot listen
 */
export function listen(
  server: Server,
  { host, port }: Address,
  what: string,
  onLaterError: (error: Error) => void,
): Promise<number> {
  return new Promise((resolve, reject) => {
    server.on('error', (error: NodeJS.ErrnoException) => {
      if (server.listening) onLaterError(error);
      else reject(new Error(`${what} ${host}:${port}; ${cureOf(error)}`, { cause: error }));
    });
    server.listen(port, host, () => {
      const { port: actual }: Partial<AddressInfo> = Object(server.address());
      resolve(actual ?? port);
    });
  });
}

function cureOf({ code, message }: NodeJS.ErrnoException): string {
  return code === 'EADDRINUSE' ? 'another process has the port: stop it, or choose another port' : message;
}
