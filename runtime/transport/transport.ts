/**
 * Port: messages between the devices of one job. Implementations: WebSocket between processes, with shared memory for the large tensors of
 * those of one machine; plain memory within one thread. `test/transport/contract.ts` is the suite that all pass.
 *
 * A message is delivered once its receiver asks for it. Before that, a peer may send as much as the receiver has granted it;
 * the rest waits at the sender (docs/decisions/0008-credits.md).
 */
export interface Transport {
  /** This end's device id. */
  readonly self: number;
  /**
   * Sends one message. Resolves when the bytes are handed over and `payload` may be written again; that may take until the peer
   * asks for the message.
   * @throws {PeerError} when the peer is gone
   * @throws {RangeError} a sentence, for more bytes than a message may have
   */
  send(peer: number, tag: MessageTag, payload: Uint8Array): Promise<void>;
  /**
   * The message with this tag from this peer, whether it has arrived already or will. Each message is taken once, and asked for before
   * any of a much later pass: a peer that sends one that nobody waits for so late is taken to be at fault.
   * The buffer belongs to the caller, 8-byte aligned.
   * @param byteLength what the message must have
   * @throws {PeerError} when the peer or any other is lost, or the transport closed, before it came; or of another length.
   */
  receive(peer: number, tag: MessageTag, byteLength: number): Promise<Uint8Array>;
  /**
   * As {@link receive}, for who only reads the bytes: `use` gets them without a copy where that is possible, and they are not
   * its own after it returns.
   */
  read(peer: number, tag: MessageTag, byteLength: number, use: (bytes: Uint8Array) => void): Promise<void>;
  /**
   * As {@link read}, for who wants the bytes in memory of its own: they are written there as they come where that is possible, so
   * what it holds is undefined until then, and after a failure.
   */
  fill(peer: number, tag: MessageTag, target: Uint8Array): Promise<void>;
  /** Says to all that this device answers heartbeats from now on: after it, one that falls silent is taken for lost. */
  ready(): void;
  /** Payload bytes since the start, by peer. */
  traffic(): ReadonlyMap<number, PeerTraffic>;
  /**
   * Rejects every pending receive; idempotent.
   * @param reason why this device leaves before its work is done: a sentence, which its peers fail with
   */
  close(reason?: string): Promise<void>;
}

/** What a message is: the pass and the id of the task (and round of it) that it belongs to. */
export interface MessageTag {
  /** Number of the pass, training and evaluation together; a training step may have many. */
  readonly step: number;
  readonly task: number;
  readonly round: number;
}

export interface PeerTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
  /** Memory of messages that wait here to be asked for. */
  readonly heldBytes: number;
}

export interface PeerErrorOptions extends ErrorOptions {
  /** What happened, in the words of the device that saw it; the message by default. */
  readonly origin?: string;
  /** Whether the peer never came or broke the protocol, which is a fault, where one that was lost may come back. */
  readonly isFault?: boolean;
}

/** A peer that died, misbehaved, or never came. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly peer: number;
  /** What other peers are told, so that the news stays one sentence however many devices hand it on. */
  readonly origin: string;
  readonly isFault: boolean;

  constructor(peer: number, message: string, { origin = message, isFault = false, ...options }: PeerErrorOptions = {}) {
    super(message, options);
    this.peer = peer;
    this.origin = origin;
    this.isFault = isFault;
  }
}

/** The peer whose loss an error is, or comes from; undefined where that is not why. */
export function lostPeerOf(error: unknown): number | undefined {
  if (!(error instanceof Error)) return undefined;
  if (error instanceof PeerError) return error.isFault ? undefined : error.peer;
  return lostPeerOf(error.cause);
}
