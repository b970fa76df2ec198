import type { FrameKind, Header } from '../wire/header.ts';
import type { Message } from '../wire/message-reader.ts';
import type { MessageTag } from './transport.ts';

/** Carries messages to one peer, in order. What they mean is the {@link Channel}'s. */
export interface Link {
  /** Resolves when `payload` may be written again; rejects when the link has ended, and with a RangeError for too many bytes. */
  send(kind: FrameKind, tag: MessageTag, payload: Uint8Array): Promise<void>;
  /** Closes once everything sent has left; `onEnd` follows. */
  leave(): void;
  /** Ends the link at once; idempotent. */
  end(reason: string): void;
}

/** A message as a link delivers it. */
export interface Delivery extends Message {
  /** Whether the payload is the sender's own memory, to be read now or copied. */
  readonly lent?: boolean;
  /** Gives the payload's memory back to the link, once it was read. */
  readonly release?: () => void;
  /** Gives the payload's memory back, where its taker has only read it: it is the taker's own otherwise. */
  readonly recycle?: () => void;
}

/** What a link reports to the end that owns it. */
export interface LinkEvents {
  /** Called before memory is taken for a payload. @throws {Error} a sentence: the message must not come */
  admit(header: Header): void;
  /** Where the payload of a message that was admitted is wanted, if anywhere; it may be written before `onMessage`. */
  place(header: Header): Uint8Array | undefined;
  /** @throws {Error} a sentence: the message is wrong; the link ends with it */
  onMessage(message: Delivery): void;
  /** Once. @param reason a sentence about the peer that starts with `it` */
  onEnd(reason: string): void;
}

export const NO_TAG: MessageTag = { step: 0, task: 0, round: 0 };
export const NO_BYTES: Uint8Array = new Uint8Array();
