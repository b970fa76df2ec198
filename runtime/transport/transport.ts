/**
 * Port: messages between the devices of one job. Implementations: WebSocket between processes, and an in-memory pair for
 * tests. `test/transport/contract.ts` is the suite that both pass.
 */
export interface Transport {
  /** This end's device id. */
  readonly self: number;
  /**
   * Sends one message. Resolves when the bytes are handed over and `payload` may be written again.
   * @throws {PeerError} when the peer is gone.
   */
  send(peer: number, tag: MessageTag, payload: Uint8Array): Promise<void>;
  /**
   * The message with this tag from this peer, whether it has arrived already or will. Each message is taken once.
   * The buffer belongs to the caller, 8-byte aligned.
   * @throws {PeerError} when the peer is lost, or the transport closed, before it came.
   */
  receive(peer: number, tag: MessageTag): Promise<Uint8Array>;
  /** Totals since the start, by peer. */
  traffic(): ReadonlyMap<number, PeerTraffic>;
  /** Rejects every pending receive; idempotent. */
  close(): Promise<void>;
}

/** What a message is: the training step and the id of the task (and round of it) that it belongs to. */
export interface MessageTag {
  readonly step: number;
  readonly task: number;
  readonly round: number;
}

export interface PeerTraffic {
  readonly sentBytes: number;
  readonly receivedBytes: number;
}

/** A peer that died, misbehaved, or never came. */
export class PeerError extends Error {
  override readonly name = 'PeerError';
  readonly peer: number;
  constructor(peer: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.peer = peer;
  }
}
