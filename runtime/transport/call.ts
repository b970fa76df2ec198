import { request } from 'node:http';
import { request as requestByTls } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Identity } from './authentication.ts';
import { Caller, PROOF_HEADER } from './authentication.ts';
import type { Address } from './listen.ts';
import type { TlsFiles } from './server.ts';
import { PeerError } from './transport.ts';
import type { Upgraded } from './upgrade.ts';
import { upgradeRequest } from './upgrade.ts';

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
 * @param onOpen takes the connection before its first message can come
 * @throws {PeerError} naming the peer that did not answer in time, and why
 */
export async function callPeer(
  peer: number,
  address: Address,
  options: CallOptions,
  onOpen: (connection: Upgraded) => void,
): Promise<void> {
  let reason = 'it was not called';
  while (performance.now() < options.deadlineMs && options.wanted()) {
    const caller = new Caller(options.identity, peer);
    const first = await attempt(address, options.tls, caller.greeting(), () => 'it asked for no proof');
    const proof = caller.answer(first.authenticate);
    const outcome =
      proof === undefined
        ? first
        : await attempt(address, options.tls, proof, (connection, theirs) => {
            if (!caller.isProof(theirs)) return `what answers there does not know the job's token`;
            onOpen(connection);
            return undefined;
          });
    if (outcome.failure === undefined) return;
    reason = outcome.failure;
    await sleep(RETRY_MS);
  }
  const { host, port } = address;
  throw new PeerError(peer, `device ${peer} did not answer at ${host}:${port} (${reason}); see why it did not start`, {
    isFault: true,
  });
}

interface Outcome {
  /** Undefined when open. */
  readonly failure: string | undefined;
  readonly authenticate?: string;
}

/** @param admit takes a connection with the peer's proof, or says why not */
function attempt(
  { host, port }: Address,
  tls: TlsFiles | undefined,
  authorization: string,
  admit: (connection: Upgraded, proof: unknown) => string | undefined,
): Promise<Outcome> {
  const { headers: asked, accept } = upgradeRequest();
  const options = { host, port, agent: false, headers: { ...asked, authorization } } as const;
  const call =
    tls === undefined
      ? request(options)
      : requestByTls({ ...options, cert: tls.certificate, key: tls.key, ca: tls.authority });
  const outcome = new Promise<Outcome>((resolve) => {
    call.once('upgrade', ({ headers }, socket, head) => {
      const isWebSocket = headers['sec-websocket-accept'] === accept;
      const failure = isWebSocket
        ? admit({ socket, head, isClient: true }, headers[PROOF_HEADER])
        : 'what answers there speaks no WebSocket';
      if (failure !== undefined) socket.destroy();
      resolve({ failure });
    });
    call.once('response', ({ statusCode, headers }) => {
      call.destroy();
      const authenticate = headers['www-authenticate'];
      const refused =
        statusCode === 403
          ? 'it refused this device: another token or attempt, or it is taken'
          : `it answered ${statusCode}`;
      resolve({ failure: refused, ...(authenticate !== undefined && { authenticate }) });
    });
    call.on('error', (error) => resolve({ failure: error.message }));
  });
  const timer = setTimeout(() => call.destroy(new Error('it did not answer the call')), ANSWER_TIMEOUT_MS);
  call.end();
  return outcome.finally(() => clearTimeout(timer));
}
