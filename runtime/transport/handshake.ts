import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { Message } from '../wire/message-reader.ts';
import { PeerError } from './transport.ts';

/** What both ends of a connection must agree on. */
export interface Identity {
  readonly self: number;
  /** Secret of the job. It never crosses the wire. */
  readonly token: string;
  /** Job and attempt; part of the proof, so that a pod left over from an earlier attempt is refused. */
  readonly session: string;
}

/** Sends a message of the handshake. */
export type SendControl = (kind: 'hello' | 'proof', task: number, payload: Uint8Array) => void;

/**
 * Each end sends a nonce, then an HMAC of both nonces under the token, and checks the other's. A stranger who does not know
 * the token learns nothing that lets it in, and nothing is accepted from it.
 */
export class Handshake {
  readonly #identity: Identity;
  readonly #send: SendControl;
  readonly #nonce = randomBytes(32);
  #peer: number | undefined;
  #peerNonce: Uint8Array | undefined;

  constructor(identity: Identity, send: SendControl) {
    this.#identity = identity;
    this.#send = send;
    send('hello', identity.self, this.#nonce);
  }

  /**
   * Takes the next message of the peer.
   * @returns the peer's device id once it has proved itself, else undefined
   * @throws {PeerError} for a peer that does not know the token
   */
  take({ kind, task, payload }: Message): number | undefined {
    if (kind === 'hello' && this.#peer === undefined && payload.byteLength === 32) {
      this.#peer = task;
      this.#peerNonce = payload;
      this.#send('proof', this.#identity.self, this.#proof(this.#identity.self, this.#nonce, payload));
      return undefined;
    }
    if (kind === 'proof' && this.#peer !== undefined && this.#peerNonce !== undefined && payload.byteLength === 32) {
      const expected = this.#proof(this.#peer, this.#peerNonce, this.#nonce);
      if (timingSafeEqual(payload, expected)) return this.#peer;
      throw new PeerError(this.#peer, `a process that claims to be device ${this.#peer} does not know the job's token`);
    }
    throw new PeerError(this.#peer ?? -1, `a connection began with a ${kind} message; expected hello, then proof`);
  }

  #proof(prover: number, proversNonce: Uint8Array, checkersNonce: Uint8Array): Uint8Array {
    const { token, session } = this.#identity;
    return createHmac('sha256', token)
      .update(`${session}\n${prover}\n`)
      .update(proversNonce)
      .update(checkersNonce)
      .digest();
  }
}
