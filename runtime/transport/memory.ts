import { Inbox } from './inbox.ts';
import type { MessageTag, PeerTraffic, Transport } from './transport.ts';
import { PeerError } from './transport.ts';

/** Transports between devices of one process, for tests. */
export function createMemoryTransports(count: number): Transport[] {
  const inboxes = Array.from({ length: count }, () => new Inbox(Number.MAX_SAFE_INTEGER));
  const closed = new Set<number>();
  return inboxes.map((inbox, self): Transport => {
    const traffic = new Map<number, { sentBytes: number; receivedBytes: number }>();
    const count = (peer: number, sent: number, received: number): void => {
      const totals = traffic.get(peer) ?? { sentBytes: 0, receivedBytes: 0 };
      traffic.set(peer, { sentBytes: totals.sentBytes + sent, receivedBytes: totals.receivedBytes + received });
    };
    return {
      self,
      send(peer: number, tag: MessageTag, payload: Uint8Array): Promise<void> {
        if (closed.has(peer)) return Promise.reject(new PeerError(peer, `device ${peer} has left`));
        inboxes[peer]!.deliver(self, tag, new Uint8Array(payload));
        count(peer, payload.byteLength, 0);
        return Promise.resolve();
      },
      async receive(peer, tag) {
        const payload = await inbox.take(peer, tag);
        count(peer, 0, payload.byteLength);
        return payload;
      },
      traffic: (): ReadonlyMap<number, PeerTraffic> => traffic,
      close() {
        closed.add(self);
        inboxes.forEach((other, peer) => {
          other.lose(new PeerError(self, `device ${self} has left`));
          inbox.lose(new PeerError(peer, 'this device has left'));
        });
        return Promise.resolve();
      },
    };
  });
}
