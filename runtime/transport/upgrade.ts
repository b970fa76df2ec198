import { createHash, randomBytes } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';

/** How an HTTP connection becomes a WebSocket. Source: RFC 6455, section 4. */
const GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
const VERSION = '13';
const KEY = /^[+/0-9A-Za-z]{22}==$/;

/** A connection that has become a WebSocket, of either end. */
export interface Upgraded {
  readonly socket: Duplex;
  /** Bytes that came with the end of the handshake. */
  readonly head: Uint8Array;
  /** Whether this end is the client, whose frames have a mask. */
  readonly isClient: boolean;
}

/** What a client asks with, and what the answer must have as `sec-websocket-accept`. */
export function upgradeRequest(): { readonly headers: Readonly<Record<string, string>>; readonly accept: string } {
  const key = randomBytes(16).toString('base64');
  const headers = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-version': VERSION,
    'sec-websocket-key': key,
  };
  return { headers, accept: acceptOf(key) };
}

/** Answers a request for a WebSocket. Returns whether it was one. @param headers lines that the answer has besides */
export function acceptUpgrade({ headers, method }: IncomingMessage, socket: Duplex, extra: readonly string[]): boolean {
  const key = headers['sec-websocket-key'] ?? '';
  const isWebSocket = headers.upgrade?.toLowerCase() === 'websocket' && headers['sec-websocket-version'] === VERSION;
  if (method !== 'GET' || !isWebSocket || !KEY.test(key)) return false;
  const lines = [
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    `Sec-WebSocket-Accept: ${acceptOf(key)}`,
    ...extra,
  ];
  socket.write(`${lines.join('\r\n')}\r\n\r\n`);
  return true;
}

function acceptOf(key: string): string {
  return createHash('sha1').update(`${key}${GUID}`).digest('base64');
}
