import type { Transport } from './transport.ts';

/** A transport that knows how long its messages were waited for. */
export interface TimedTransport extends Transport {
  /** Seconds since the start by peer, from asking for a message until it was there; messages asked for at once count each. */
  awaitedSeconds(): ReadonlyMap<number, number>;
}

/** Measures the waiting for every peer, whatever carries the messages. */
export function timedTransport(transport: Transport): TimedTransport {
  const awaited = new Map<number, number>();
  const timed = async <T>(peer: number, message: Promise<T>): Promise<T> => {
    const startMs = performance.now();
    const result = await message;
    awaited.set(peer, (awaited.get(peer) ?? 0) + (performance.now() - startMs) / 1000);
    return result;
  };
  return {
    self: transport.self,
    send: (peer, tag, payload) => transport.send(peer, tag, payload),
    receive: (peer, tag, byteLength) => timed(peer, transport.receive(peer, tag, byteLength)),
    read: (peer, tag, byteLength, use) => timed(peer, transport.read(peer, tag, byteLength, use)),
    fill: (peer, tag, target) => timed(peer, transport.fill(peer, tag, target)),
    ready: () => transport.ready(),
    traffic: () => transport.traffic(),
    close: (reason) => transport.close(reason),
    awaitedSeconds: () => awaited,
  };
}
