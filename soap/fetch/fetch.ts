import { createHash } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import type { IncomingMessage } from 'node:http';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import type { LookupFunction } from 'node:net';
import { isIPv6 } from 'node:net';
import { messageOf } from '../message-of.ts';

/** What may be fetched, and how much of it. */
export interface FetchPolicy {
  /** Why a URL may not be fetched, as the end of a sentence; asked for each redirect too. */
  urlRefusal(url: URL): string | undefined;
  /** The same of an address that the host has. */
  addressRefusal(address: string): string | undefined;
  readonly maxBytes: number;
  /** For everything from the first question to the last byte. */
  readonly timeoutMs: number;
  /** All addresses of a host; by default those that the system knows. */
  readonly resolve?: (host: string) => Promise<readonly string[]>;
  /** Certificates of authorities, PEM, in place of those that Node.js trusts. */
  readonly authorities?: string;
}

/** Why something could not be fetched: a sentence. */
export class FetchError extends Error {
  override readonly name = 'FetchError';
  /** Whether it may go better later: the server was not there, or said that it is busy. */
  readonly passing: boolean;

  constructor(message: string, passing: boolean, cause?: unknown) {
    super(message, { cause });
    this.passing = passing;
  }
}

/** Where a server does not say how much it sends. */
const FIRST_BYTES = 65_536;

/** Source: what curl and browsers follow is more; files are one or two redirects away. */
const MAX_REDIRECTS = 5;

/** Source: RFC 9110, 15.4. */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/** Answers that may be another one later. Source: RFC 9110, 15.5.9, 15.6; RFC 6585, 4. */
const PASSING: ReadonlySet<number> = new Set([408, 425, 429, 500, 502, 503, 504]);

/**
 * Fetches a file and checks its digest. Each address of the host is held against the policy, and the connection goes to an address
 * that was: a name that changes meanwhile leads nowhere else. Memory is taken only up to the limit, and once: the result is all of its
 * ArrayBuffer.
 * @param sha256 of the file, hexadecimal
 * @throws {FetchError}
 */
export async function fetchVerified(url: string, sha256: string, policy: FetchPolicy): Promise<Buffer> {
  const signal = AbortSignal.timeout(policy.timeoutMs);
  try {
    const content = await readAll(await open(new URL(url), policy, signal), url, policy.maxBytes);
    const digest = createHash('sha256').update(content).digest('hex');
    if (digest === sha256) return content;
    throw new FetchError(`${url} has sha256 ${digest}; expected ${sha256}: it is another file, or was changed`, false);
  } catch (error) {
    if (error instanceof FetchError) throw error;
    if (signal.aborted)
      throw new FetchError(
        `${url} did not come within ${policy.timeoutMs / 1000} s; see that its server answers`,
        true,
        error,
      );
    const reason = messageOf(error);
    throw new FetchError(`${url} could not be fetched: ${reason}; see that it can be reached`, true, error);
  }
}

async function open(start: URL, policy: FetchPolicy, signal: AbortSignal): Promise<IncomingMessage> {
  let url = start;
  for (let redirects = 0; redirects <= MAX_REDIRECTS; redirects++) {
    const response = await request(url, await admittedAddress(url, start, policy, signal), policy, signal);
    const { statusCode = 0, headers } = response;
    if (statusCode === 200) return response;
    response.destroy();
    if (!REDIRECTS.has(statusCode) || headers.location === undefined)
      throw new FetchError(`${url.href} answered ${statusCode}; expected 200 and the file`, PASSING.has(statusCode));
    if (!URL.canParse(headers.location, url.href))
      throw new FetchError(`${url.href} leads to '${headers.location.slice(0, 100)}', which is no URL`, false);
    url = new URL(headers.location, url);
  }
  throw new FetchError(
    `${start.href} leads on more than ${MAX_REDIRECTS} times; give the URL of the file itself`,
    false,
  );
}

/** One address of the URL's host; all of them must be admitted, since any could be used another time. */
async function admittedAddress(url: URL, start: URL, policy: FetchPolicy, signal: AbortSignal): Promise<string> {
  const from = url === start ? '' : ` (${start.href} leads there)`;
  const refusal = policy.urlRefusal(url);
  if (refusal !== undefined) throw new FetchError(`${url.href} may not be fetched${from}: ${refusal}`, false);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  const addresses = await Promise.race([(policy.resolve ?? resolveBySystem)(host), aborted(signal)]);
  for (const address of addresses) {
    const reason = policy.addressRefusal(address);
    if (reason !== undefined)
      throw new FetchError(`${url.href} may not be fetched${from}: ${host} is at ${address}, ${reason}`, false);
  }
  const [first] = addresses;
  if (first === undefined) throw new FetchError(`${url.href} could not be fetched: ${host} has no address`, true);
  return first;
}

async function resolveBySystem(host: string): Promise<string[]> {
  return (await lookup(host, { all: true })).map(({ address }) => address);
}

/** Fails with the signal; a question to the name service cannot be taken back. */
function aborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(new Error('its time is over')), { once: true });
  });
}

function request(url: URL, address: string, policy: FetchPolicy, signal: AbortSignal): Promise<IncomingMessage> {
  const family = isIPv6(address) ? 6 : 4;
  const pinned: LookupFunction = (_, { all }, callback) =>
    all === true ? callback(null, [{ address, family }]) : callback(null, address, family);
  const get = url.protocol === 'https:' ? httpsGet : httpGet;
  const options = {
    lookup: pinned,
    signal,
    // A connection of its own: one that is kept could be to an address that was not asked about.
    agent: false as const,
    headers: { 'accept-encoding': 'identity', 'user-agent': 'soapstone' },
    ...(policy.authorities !== undefined && { ca: policy.authorities }),
  };
  return new Promise((resolve, reject) => {
    get(url, options, resolve).once('error', reject);
  });
}

async function readAll(response: IncomingMessage, url: string, maxBytes: number): Promise<Buffer> {
  const tooLarge = (bytes: number): FetchError =>
    new FetchError(`${url} has ${bytes} bytes or more; expected at most ${maxBytes}`, false);
  const announced = Number(response.headers['content-length'] ?? 0);
  try {
    if (announced > maxBytes) throw tooLarge(announced);
    // Memory that is not written to yet is not taken, so that a server which announces much and sends little takes little.
    let content = Buffer.allocUnsafeSlow(announced || FIRST_BYTES);
    let bytes = 0;
    for await (const chunk of response) {
      const data: Uint8Array = chunk;
      if (bytes + data.length > maxBytes) throw tooLarge(bytes + data.length);
      if (bytes + data.length > content.length) content = grown(content, Math.min(maxBytes, 2 * (bytes + data.length)));
      content.set(data, bytes);
      bytes += data.length;
    }
    return bytes === content.length ? content : grown(content.subarray(0, bytes), bytes);
  } finally {
    response.destroy();
  }
}

function grown(content: Uint8Array, bytes: number): Buffer<ArrayBuffer> {
  const larger = Buffer.allocUnsafeSlow(bytes);
  larger.set(content);
  return larger;
}
