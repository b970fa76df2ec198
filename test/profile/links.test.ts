import test from 'ava';
import * as fc from 'fast-check';
import { setTimeout as sleep } from 'node:timers/promises';
import { linkSlots } from '../../runtime/profile/link-slots.ts';
import { measureLinks } from '../../runtime/profile/measure-links.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { Transport } from '../../runtime/transport/transport.ts';
import { webSocketTransports } from '../support/transports.ts';

test('in a slot a node has one pair at most; no pair comes twice, small clusters have all pairs of nodes, and none waits in a circle', (t) => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 30 }), { minLength: 1, maxLength: 60 }), (nodeOf) => {
      const nodes = nodeOf.map((node) => `node${node}`);
      const slots = linkSlots(nodes);
      const keys = slots.flat().map(([a, b]) => [a, b].toSorted((x, y) => x - y).join());
      t.is(new Set(keys).size, keys.length);
      t.true(slots.length <= 30);
      for (const pairs of slots) {
        const taken = pairs.flatMap(([a, b]) => [...new Set([nodes[a], nodes[b]])]);
        t.is(new Set(taken).size, taken.length);
      }
      const names = new Set(nodes);
      const between = slots.flat().filter(([a, b]) => nodes[a] !== nodes[b]);
      if (names.size <= 16) t.is(between.length, (names.size * (names.size - 1)) / 2);
    }),
  );
  t.deepEqual(linkSlots(['a']), []);
  t.deepEqual(linkSlots(['a', 'a', 'b']), [[[0, 2]], [[0, 1]]]);
});

/** Carries so many bytes a millisecond at most. */
function throttled(transport: Transport, bytesPerMs: number): Transport {
  let free = Promise.resolve();
  return {
    self: transport.self,
    receive: (peer, tag, byteLength) => transport.receive(peer, tag, byteLength),
    read: (peer, tag, byteLength, use) => transport.read(peer, tag, byteLength, use),
    fill: (peer, tag, target) => transport.fill(peer, tag, target),
    ready: () => transport.ready(),
    traffic: () => transport.traffic(),
    close: (reason) => transport.close(reason),
    send: (peer, tag, payload) => {
      free = free.then(() => sleep(Math.ceil(payload.length / bytesPerMs)));
      return free.then(() => transport.send(peer, tag, payload));
    },
  };
}

const KINDS: Readonly<Record<string, (count: number) => Promise<Transport[]>>> = {
  memory: (count) => Promise.resolve(createMemoryTransports(count)),
  WebSocket: webSocketTransports,
};

for (const [kind, connect] of Object.entries(KINDS)) {
  test(`${kind}: every device measures its ways, a slow one as slow, and what comes after is not disturbed`, async (t) => {
    const transports = await connect(3);
    t.teardown(() => Promise.all(transports.map((transport) => transport.close())));
    const slow = transports.map((transport) => (transport.self === 1 ? throttled(transport, 20_000) : transport));
    const measured = await Promise.all(slow.map((each) => measureLinks(each, ['a', 'a', 'b'])));
    t.deepEqual(
      measured.map((links) => links.map(({ peer }) => peer)),
      [[2, 1], [0], [0]],
    );
    for (const { bytesPerSec, latencyUs } of measured.flat()) {
      t.true(Number.isFinite(bytesPerSec) && bytesPerSec > 0);
      t.true(Number.isFinite(latencyUs) && latencyUs >= 0);
    }
    // Timers are coarse; without the brake it is ten times as fast at least.
    t.true(measured[1]![0]!.bytesPerSec <= 40e6, `${measured[1]![0]!.bytesPerSec}`);
    const tag = { step: 0, task: 0, round: 0 };
    const [, got] = await Promise.all([
      transports[0]!.send(1, tag, new Uint8Array([7])),
      transports[1]!.receive(0, tag, 1),
    ]);
    t.is(got[0], 7);
  });
}
