import type { ExecutionContext } from 'ava';
import type { Transport } from '../../runtime/transport/transport.ts';
import { PeerError } from '../../runtime/transport/transport.ts';

const TAG = { step: 3, task: 4, round: 0 };

/** What every transport does, by sentence. The transports of a case belong to one job, one for each device. */
export const TRANSPORT_CONTRACT: readonly [string, (t: ExecutionContext, transports: Transport[]) => Promise<void>][] =
  [
    [
      'delivers a message whether it is asked for before or after it is sent',
      async (t, [a, b]) => {
        const early = b!.receive(0, TAG);
        await a!.send(1, TAG, Uint8Array.of(1, 2, 3));
        t.deepEqual([...(await early)], [1, 2, 3]);
        await a!.send(1, { ...TAG, round: 1 }, Uint8Array.of(9));
        t.deepEqual([...(await b!.receive(0, { ...TAG, round: 1 }))], [9]);
      },
    ],
    [
      'carries an empty message and one of several MiB, both ways at once',
      async (t, [a, b]) => {
        const large = Uint8Array.from({ length: 3 * 2 ** 20 + 5 }, (_, i) => i % 251);
        const sends = [
          a!.send(1, TAG, large),
          b!.send(0, TAG, large),
          a!.send(1, { ...TAG, round: 7 }, new Uint8Array()),
        ];
        const [atB, atA, empty] = await Promise.all([
          b!.receive(0, TAG),
          a!.receive(1, TAG),
          b!.receive(0, { ...TAG, round: 7 }),
        ]);
        await Promise.all(sends);
        t.true(Buffer.from(atA).equals(large));
        t.true(Buffer.from(atB).equals(large));
        t.is(empty.byteLength, 0);
      },
    ],
    [
      'keeps messages of different peers and tags apart',
      async (t, [a, b, c]) => {
        await a!.send(2, TAG, Uint8Array.of(1));
        await b!.send(2, TAG, Uint8Array.of(2));
        await a!.send(2, { ...TAG, step: 4 }, Uint8Array.of(3));
        t.deepEqual([...(await c!.receive(1, TAG))], [2]);
        t.deepEqual([...(await c!.receive(0, { ...TAG, step: 4 }))], [3]);
        t.deepEqual([...(await c!.receive(0, TAG))], [1]);
      },
    ],
    [
      'counts payload bytes by peer',
      async (t, [a, b]) => {
        await a!.send(1, TAG, new Uint8Array(100));
        await b!.receive(0, TAG);
        t.is(a!.traffic().get(1)?.sentBytes, 100);
        t.is(b!.traffic().get(0)?.receivedBytes, 100);
      },
    ],
    [
      'gives what has come before a peer left, then names the peer',
      async (t, [a, b]) => {
        await a!.send(1, TAG, Uint8Array.of(5));
        await b!.send(0, TAG, Uint8Array.of(6));
        await a!.receive(1, TAG);
        const pending = t.throwsAsync(b!.receive(0, { ...TAG, round: 9 }), {
          instanceOf: PeerError,
          message: /device 0/,
        });
        await a!.close();
        await pending;
        t.deepEqual([...(await b!.receive(0, TAG))], [5]);
        await t.throwsAsync(b!.send(0, TAG, Uint8Array.of(1)), { instanceOf: PeerError, message: /device 0/ });
      },
    ],
  ];
