import type { IncomingMessage, Server } from 'node:http';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { Duplex } from 'node:stream';
import type { Identity } from './authentication.ts';
import { Callee, PROOF_HEADER } from './authentication.ts';
import type { Address } from './listen.ts';
import { listen } from './listen.ts';
import type { Upgraded } from './upgrade.ts';
import { acceptUpgrade } from './upgrade.ts';
import { messageOf } from '../../soap/message-of.ts';

/** PEM texts. Both ends of a connection show a certificate that the authority has signed. */
export interface TlsFiles {
  readonly certificate: string;
  readonly key: string;
  readonly authority: string;
}

export interface ServerOptions {
  readonly identity: Identity;
  readonly listen: Address;
  readonly tls: TlsFiles | undefined;
  /** Whether a device may join now; a sentence where not. */
  refusal(device: number): string | undefined;
  /** A peer that has proved that it knows the token. */
  onPeer(device: number, connection: Upgraded): void;
  /** A stranger was turned away. */
  onRefused(reason: string): void;
}

/** A listening server. */
export interface PeerServer {
  readonly port: number;
  /** Takes no more connections; those of peers stay. */
  stopListening(): void;
}

/** What a stranger may send before it is turned away, and how long it may take. */
const STRANGER = { maxHeaderSize: 4096, headersTimeout: 5000, requestTimeout: 5000, keepAliveTimeout: 1000 };
const MAX_CONNECTIONS = 8192;
/** How long a stranger may take to take the answer. */
const REFUSAL_MS = 5000;

/**
 * Listens for peers; turns strangers away before their connection becomes a WebSocket.
 * @throws {Error} where the port is taken, or the TLS files are no good
 */
export async function listenForPeers(options: ServerOptions): Promise<PeerServer> {
  const http = createHttpServer(options.tls);
  http.maxConnections = MAX_CONNECTIONS;
  const callee = new Callee(options.identity);
  http.on('upgrade', (request, socket, head) => greet(options, callee, request, { socket, head, isClient: false }));
  http.on('request', (_, response) => response.writeHead(426).end('this is a device of a Soapstone job\n'));
  http.on('clientError', (_, socket) => socket.destroy());
  http.on('tlsClientError', (error) =>
    options.onRefused(`a connection failed to prove itself by TLS: ${error.message}`),
  );
  const port = await listen(http, options.listen, 'device cannot listen on', ({ message }) =>
    options.onRefused(`a connection could not be taken: ${message}`),
  );
  // Closing drops idle HTTP connections; those that became WebSockets are no longer the server's.
  return { port, stopListening: () => void http.close() };
}

function createHttpServer(tls: TlsFiles | undefined): Server {
  if (tls === undefined) return createServer(STRANGER);
  try {
    const { certificate: cert, key, authority: ca } = tls;
    return createTlsServer({ ...STRANGER, cert, key, ca, requestCert: true, rejectUnauthorized: true });
  } catch (error) {
    const reason = messageOf(error);
    throw new Error(`the TLS certificate, key and authority do not go together: ${reason}; expected PEM files`, {
      cause: error,
    });
  }
}

function greet(options: ServerOptions, callee: Callee, request: IncomingMessage, connection: Upgraded): void {
  const { socket } = connection;
  socket.on('error', () => socket.destroy());
  const verdict = callee.judge(request.headers.authorization, Date.now());
  if (verdict.kind === 'challenge') return refuse(socket, `401 Unauthorized\r\nWWW-Authenticate: ${verdict.header}`);
  const reason = verdict.kind === 'refusal' ? verdict.reason : options.refusal(verdict.device);
  if (verdict.kind === 'refusal' || reason !== undefined) {
    options.onRefused(reason!);
    return refuse(socket, '403 Forbidden');
  }
  if (!acceptUpgrade(request, socket, [`${PROOF_HEADER}: ${verdict.proof}`])) return refuse(socket, '400 Bad Request');
  options.onPeer(verdict.device, connection);
}

/** Answers and closes the connection, also that of a caller who does not close its own end. */
function refuse(socket: Duplex, status: string): void {
  const timer = setTimeout(() => socket.destroy(), REFUSAL_MS);
  socket.once('close', () => clearTimeout(timer));
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}
