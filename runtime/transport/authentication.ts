import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';

/** What both ends of a connection must agree on. */
export interface Identity {
  readonly self: number;
  /** Secret of the job. It never crosses the wire. */
  readonly token: string;
  /** Job and attempt; part of the proof, so that a pod left over from an earlier attempt is refused. */
  readonly session: string;
}

/**
 * The proof of the token travels in the headers of the WebSocket's upgrade, so that a stranger never gets to send a frame:
 *
 * 1. caller: `authorization: Soapstone device=1,nonce=N`; callee: 401, `www-authenticate: Soapstone challenge=C`
 * 2. caller: `authorization: Soapstone device=1,nonce=N,challenge=C,proof=P`; callee: 101, `soapstone-proof: Q`
 *
 * P and Q are HMAC-SHA256 under the token of session, the device that proves it, the one that it is proved to, nonce and challenge; all
 * values are hex. So a proof is of no use to whoever hands it on to another device.
 */
const SCHEME = 'Soapstone';
/** Header of the callee's proof. */
export const PROOF_HEADER = 'soapstone-proof';

const NONCE_BYTES = 16;
const TAG_BYTES = 16;
const CHALLENGE_MS = 10_000;

/** The caller's side of a connection. */
export class Caller {
  readonly #identity: Identity;
  readonly #peer: number;
  readonly #nonce = randomBytes(NONCE_BYTES).toString('hex');
  #challenge = '';

  constructor(identity: Identity, peer: number) {
    this.#identity = identity;
    this.#peer = peer;
  }

  /** The header of the first request, which asks for a challenge. */
  greeting(): string {
    return `${SCHEME} device=${this.#identity.self},nonce=${this.#nonce}`;
  }

  /** The header of the second request; undefined where the callee's answer to the first has no challenge. */
  answer(authenticate: string | undefined): string | undefined {
    const challenge = parse(authenticate)?.get('challenge');
    if (challenge === undefined || !isHex(challenge)) return undefined;
    this.#challenge = challenge;
    return `${this.greeting()},challenge=${challenge},proof=${this.#proof(this.#identity.self, this.#peer)}`;
  }

  /** Whether the callee knows the token too. */
  isProof(proof: unknown): boolean {
    const isText = this.#challenge !== '' && typeof proof === 'string';
    return isText && equal(proof, this.#proof(this.#peer, this.#identity.self));
  }

  #proof(prover: number, verifier: number): string {
    return proofOf(this.#identity, { prover, verifier, nonce: this.#nonce, challenge: this.#challenge });
  }
}

/** What a callee makes of a caller's header. */
export type Verdict =
  | { readonly kind: 'challenge'; readonly header: string }
  | { readonly kind: 'welcome'; readonly device: number; readonly proof: string }
  | { readonly kind: 'refusal'; readonly reason: string };

/** The callee's side of all connections. Keeps nothing of strangers: a challenge is known again by its own tag. */
export class Callee {
  readonly #identity: Identity;
  readonly #key = randomBytes(32);
  /** Challenges that were met, which must not be met twice. */
  readonly #met = new Set<string>();

  constructor(identity: Identity) {
    this.#identity = identity;
  }

  judge(authorization: string | undefined, nowMs: number): Verdict {
    const fields = parse(authorization);
    const device = Number(fields?.get('device') ?? NaN);
    const nonce = fields?.get('nonce') ?? '';
    if (!Number.isSafeInteger(device) || device < 0 || nonce.length !== 2 * NONCE_BYTES || !isHex(nonce)) {
      return { kind: 'refusal', reason: 'a connection did not say which device it is' };
    }
    const challenge = fields!.get('challenge');
    if (challenge === undefined) return { kind: 'challenge', header: `${SCHEME} challenge=${this.#challenge(nowMs)}` };
    const { self } = this.#identity;
    const theirs = proofOf(this.#identity, { prover: device, verifier: self, nonce, challenge });
    if (!equal(fields!.get('proof') ?? '', theirs)) {
      return { kind: 'refusal', reason: `a process that claims to be device ${device} does not know the job's token` };
    }
    if (!this.#isFresh(challenge, nowMs) || this.#met.has(challenge)) {
      return { kind: 'refusal', reason: `device ${device} met a challenge that is old or not ours` };
    }
    this.#met.add(challenge);
    const proof = proofOf(this.#identity, { prover: self, verifier: device, nonce, challenge });
    return { kind: 'welcome', device, proof };
  }

  #challenge(nowMs: number): string {
    const body = Buffer.concat([Buffer.alloc(6), randomBytes(NONCE_BYTES)]);
    body.writeUIntBE(nowMs, 0, 6);
    return body.toString('hex') + this.#tag(body);
  }

  #isFresh(challenge: string, nowMs: number): boolean {
    const body = Buffer.from(challenge.slice(0, 2 * (6 + NONCE_BYTES)), 'hex');
    if (body.length !== 6 + NONCE_BYTES || !equal(challenge, body.toString('hex') + this.#tag(body))) return false;
    return nowMs - body.readUIntBE(0, 6) <= CHALLENGE_MS;
  }

  #tag(body: Uint8Array): string {
    return createHmac('sha256', this.#key)
      .update(body)
      .digest('hex')
      .slice(0, 2 * TAG_BYTES);
  }
}

/** What is proved: that `prover` knows the token, to `verifier`. */
interface Statement {
  readonly prover: number;
  readonly verifier: number;
  readonly nonce: string;
  readonly challenge: string;
}

function proofOf({ token, session }: Identity, { prover, verifier, nonce, challenge }: Statement): string {
  const statement = [session, prover, verifier, nonce, challenge].join('\n');
  return createHmac('sha256', token).update(statement).digest('hex');
}

/** Compares in a time that tells nothing of where they differ. */
function equal(got: string, expected: string): boolean {
  const [a, b] = [Buffer.from(got), Buffer.from(expected)];
  return a.length === b.length && timingSafeEqual(a, b);
}

function parse(header: string | undefined): Map<string, string> | undefined {
  const [scheme, fields] = header?.split(' ') ?? [];
  if (scheme !== SCHEME || fields === undefined) return undefined;
  return new Map(
    fields.split(',').map((field): [string, string] => {
      const [name = '', value = ''] = field.split('=');
      return [name, value];
    }),
  );
}

function isHex(text: string): boolean {
  return /^[0-9a-f]+$/.test(text);
}
