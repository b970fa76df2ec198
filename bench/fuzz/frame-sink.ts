import { Endpoint } from '../../runtime/transport/endpoint.ts';
import type { Link, LinkEvents } from '../../runtime/transport/link.ts';
import { MessageReader } from '../../runtime/wire/message-reader.ts';

const PEER = 1;
const TAG = { step: 1, task: 2, round: 0 };
const [MAX_TENSOR_BYTES, WINDOW_BYTES] = [2 ** 31, 2 ** 16];

/** A device that takes frames of one peer, waits for one message of it, and has one for it. */
export function createFrameSink(): { take(frame: Uint8Array): void; close(): Promise<void> } {
  const endpoint = new Endpoint(0, WINDOW_BYTES);
  let events: LinkEvents | undefined;
  let reason: string | undefined;
  const link: Link = {
    send: () => Promise.resolve(),
    leave: () => undefined,
    end(why) {
      if (reason !== undefined) return;
      reason = why;
      events?.onEnd(why);
    },
  };
  endpoint.join(PEER, (channel) => {
    events = channel;
    return link;
  });
  const reader = new MessageReader({
    maxTensorBytes: MAX_TENSOR_BYTES,
    admit: (header) => events?.admit(header),
    allocate: ({ payloadBytes }) => new Uint8Array(payloadBytes),
  });
  const waiting = Promise.allSettled([endpoint.receive(PEER, TAG, 40), endpoint.send(PEER, TAG, new Uint8Array(8))]);
  return {
    take(frame) {
      const message = reader.take(frame);
      if (message !== undefined) events?.onMessage(message);
      const held = endpoint.traffic().get(PEER)!.heldBytes;
      if (held > WINDOW_BYTES) throw new TypeError(`holds ${held} bytes; the window is ${WINDOW_BYTES}`);
    },
    async close() {
      link.end('it closed the connection');
      // Nothing may wait for a peer that is gone.
      await waiting;
    },
  };
}
