import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { MAX_DATA_FRAME_BYTES } from '../wire/header.ts';
import type { Identity } from './authentication.ts';
import { Caller, PROOF_HEADER } from './authentication.ts';
import type { Address, TlsFiles } from './server.ts';
import { PeerError } from './transport.ts';

const RETRY_MS = 100;
const ANSWER_TIMEOUT_MS = 5000;

export interface CallOptions {
  readonly identity: Identity;
  readonly tls: TlsFiles | undefined;
  /** Time of `performance.now()` to give up at. */
  readonly deadlineMs: number;
  /** Whether it is still wanted. */
  wanted(): boolean;
}

/**
 * Calls a peer until it answers and both have proved that they know the token.
 * @param onOpen takes the socket before its first message can come
 * @throws {PeerError} naming the peer that did not answer in time, and why
 */
export async function callPeer(
  peer: number,
  address: Address,
  options: CallOptions,
  onOpen: (socket: WebSocket) => void,
): Promise<void> {
  let reason = 'it was not called';
  while (performance.now() < options.deadlineMs && options.wanted()) {
    const caller = new Caller(options.identity, peer);
    const first = await attempt(address, options.tls, caller.greeting(), () => 'it asked for no proof');
    const proof = caller.answer(first.authenticate);
    const outcome =
      proof === undefined
        ? first
        : await attempt(address, options.tls, proof, (socket, theirs) => {
            if (!caller.isProof(theirs)) return `what answers there does not know the job's token`;
            onOpen(socket);
            return undefined;
          });
    if (outcome.failure === undefined) return;
    reason = outcome.failure;
    await sleep(RETRY_MS);
  }
  const { host, port } = address;
  throw new PeerError(peer, `device ${peer} did not answer at ${host}:${port} (${reason}); see why it did not start`);
}

interface Outcome {
  /** Undefined when open. */
  readonly failure: string | undefined;
  readonly authenticate?: string;
}

/** @param admit takes an open socket with the peer's proof, or says why not */
function attempt(
  { host, port }: Address,
  tls: TlsFiles | undefined,
  authorization: string,
  admit: (socket: WebSocket, proof: unknown) => string | undefined,
): Promise<Outcome> {
  const url = `${tls === undefined ? 'ws' : 'wss'}://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const socket = new WebSocket(url, {
    headers: { authorization },
    handshakeTimeout: ANSWER_TIMEOUT_MS,
    perMessageDeflate: false,
    // A mask of zeros: both ends are ours, and masking costs more than the copy itself.
    generateMask: () => undefined,
    maxPayload: MAX_DATA_FRAME_BYTES,
    ...(tls && { cert: tls.certificate, key: tls.key, ca: tls.authority }),
  });
  let proof: unknown;
  socket.once('upgrade', ({ headers }) => (proof = headers[PROOF_HEADER]));
  return new Promise((resolve) => {
    socket.once('open', () => {
      const failure = admit(socket, proof);
      if (failure !== undefined) socket.terminate();
      resolve({ failure });
    });
    socket.once('unexpected-response', (request, { statusCode, headers }) => {
      request.destroy();
      const authenticate = headers['www-authenticate'];
      const refused =
        statusCode === 403
          ? 'it refused this device: another token or attempt, or it is taken'
          : `it answered ${statusCode}`;
      resolve({ failure: refused, ...(authenticate !== undefined && { authenticate }) });
    });
    socket.on('error', (error) => resolve({ failure: error.message }));
  });
}
