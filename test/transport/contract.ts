import type { ExecutionContext } from 'ava';
import { MESSAGE_OVERHEAD_BYTES } from '../../runtime/transport/inbox.ts';
import type { MessageTag, Transport } from '../../runtime/transport/transport.ts';
import { PeerError } from '../../runtime/transport/transport.ts';

const TAG = { step: 3, task: 4, round: 0 };
const round = (number: number): MessageTag => ({ ...TAG, round: number });

/** What a case needs of its transports: they belong to one job, one for each device. */
export interface ContractCase {
  readonly sentence: string;
  /** What peers may send unasked; of the transport's own choice where left out. */
  readonly windowBytes?: number;
  readonly run: (t: ExecutionContext, transports: Transport[]) => Promise<void>;
}

/** Room for two messages of 100 bytes. */
const SMALL_WINDOW = 2 * (100 + MESSAGE_OVERHEAD_BYTES);

/** What every transport does. */
export const TRANSPORT_CONTRACT: readonly ContractCase[] = [
  {
    sentence: 'delivers a message whether it is asked for before or after it is sent',
    async run(t, [a, b]) {
      const early = b!.receive(0, TAG, 3);
      await a!.send(1, TAG, Uint8Array.of(1, 2, 3));
      t.deepEqual([...(await early)], [1, 2, 3]);
      await a!.send(1, round(1), Uint8Array.of(9));
      t.deepEqual([...(await b!.receive(0, round(1), 1))], [9]);
    },
  },
  {
    sentence: 'fills memory of the caller, whether it asks before or after, with messages of one frame and of many',
    async run(t, [a, b]) {
      for (const [round_, length] of [3, 5000, 2 ** 20, 2 ** 21 + 12].entries()) {
        const sent = Uint8Array.from({ length }, (_, i) => (i * 13) % 251);
        const memory = new Uint8Array(new SharedArrayBuffer(length + 8));
        const early = b!.fill(0, round(2 * round_), memory.subarray(4, length + 4));
        const sends = [a!.send(1, round(2 * round_), sent), a!.send(1, round(2 * round_ + 1), sent)];
        await early;
        t.true(Buffer.from(sent).equals(memory.subarray(4, length + 4)));
        t.deepEqual([memory[3], memory[length + 4]], [0, 0]);
        await Promise.all(sends);
        memory.fill(0);
        await b!.fill(0, round(2 * round_ + 1), memory.subarray(4, length + 4));
        t.true(Buffer.from(sent).equals(memory.subarray(4, length + 4)));
      }
    },
  },
  {
    sentence: 'carries an empty message and some of several MiB, both ways at once',
    async run(t, [a, b]) {
      const large = Uint8Array.from({ length: 9 * 2 ** 20 + 5 }, (_, i) => i % 251);
      const sends = [a!.send(1, TAG, large), b!.send(0, TAG, large), a!.send(1, round(7), new Uint8Array())];
      const [atB, atA, empty] = await Promise.all([
        b!.receive(0, TAG, large.length),
        a!.receive(1, TAG, large.length),
        b!.receive(0, round(7), 0),
      ]);
      await Promise.all(sends);
      t.true(Buffer.from(atA).equals(large));
      t.true(Buffer.from(atB).equals(large));
      t.is(empty.byteLength, 0);
    },
  },
  {
    sentence: 'gives memory that is the caller’s own and aligned, of any size',
    async run(t, [a, b]) {
      for (const [index, size] of [1, 8, 4000, 4096, 4097, 70_000, 2 ** 20 + 1].entries()) {
        const sent = new Uint8Array(size).fill(5);
        const done = a!.send(1, round(index), sent);
        const received = await b!.receive(0, round(index), size);
        await done;
        sent.fill(6);
        t.true(
          received.every((byte) => byte === 5),
          `${size} bytes`,
        );
        t.is(received.byteOffset % 8, 0);
      }
    },
  },
  {
    sentence: 'lets the bytes be read without taking them',
    async run(t, [a, b]) {
      const read: number[][] = [];
      const first = b!.read(0, TAG, 2, (bytes) => read.push([...bytes]));
      await a!.send(1, TAG, Uint8Array.of(1, 2));
      await first;
      await a!.send(1, round(1), Uint8Array.of(3, 4));
      await b!.read(0, round(1), 2, (bytes) => read.push([...bytes]));
      t.deepEqual(read, [
        [1, 2],
        [3, 4],
      ]);
      const failing = b!.read(0, round(2), 1, () => {
        throw new Error('of the reader');
      });
      await a!.send(1, round(2), Uint8Array.of(1));
      await t.throwsAsync(failing, { message: 'of the reader' });
    },
  },
  {
    sentence: 'keeps messages of different peers and tags apart',
    async run(t, [a, b, c]) {
      await a!.send(2, TAG, Uint8Array.of(1));
      await b!.send(2, TAG, Uint8Array.of(2));
      await a!.send(2, { ...TAG, step: 4 }, Uint8Array.of(3));
      t.deepEqual([...(await c!.receive(1, TAG, 1))], [2]);
      t.deepEqual([...(await c!.receive(0, { ...TAG, step: 4 }, 1))], [3]);
      t.deepEqual([...(await c!.receive(0, TAG, 1))], [1]);
    },
  },
  {
    sentence: 'counts payload bytes by peer',
    async run(t, [a, b]) {
      await a!.send(1, TAG, new Uint8Array(100));
      await b!.receive(0, TAG, 100);
      t.is(a!.traffic().get(1)?.sentBytes, 100);
      t.is(b!.traffic().get(0)?.receivedBytes, 100);
    },
  },
  {
    sentence: 'holds no more unasked than it grants, and gives all of it in whatever order it is asked for',
    windowBytes: SMALL_WINDOW,
    async run(t, [a, b]) {
      let handedOver = 0;
      const sends = Array.from({ length: 12 }, (_, i) =>
        a!.send(1, round(i), new Uint8Array(100).fill(i)).then(() => (handedOver += 1)),
      );
      await sends[0];
      for (let i = 11; i >= 0; i--) {
        t.true(b!.traffic().get(0)!.heldBytes <= SMALL_WINDOW);
        const late = i > 2 ? handedOver <= 2 + (11 - i) : true;
        t.true(late, `${handedOver} messages handed over before message ${i} was asked for`);
        t.true((await b!.receive(0, round(i), 100)).every((byte) => byte === i));
      }
      await Promise.all(sends);
    },
  },
  {
    sentence: 'gives a message that is larger than any credit once it is asked for',
    windowBytes: 0,
    async run(t, [a, b]) {
      const sent = a!.send(1, TAG, new Uint8Array(5000).fill(1));
      t.true((await b!.receive(0, TAG, 5000)).every((byte) => byte === 1));
      await sent;
    },
  },
  {
    sentence: 'refuses a message of another length than asked for, naming both',
    async run(t, [a, b]) {
      await a!.send(1, TAG, new Uint8Array(3));
      await t.throwsAsync(b!.receive(0, TAG, 4), {
        instanceOf: PeerError,
        message: /device 0.* 3 bytes; expected 4: the devices do not run the same plan/,
      });
    },
  },
  {
    sentence: 'ends with a peer that sends a message twice',
    async run(t, [a, b]) {
      const waiting = b!.receive(0, round(9), 1);
      await a!.send(1, TAG, new Uint8Array(1));
      await b!.receive(0, TAG, 1);
      await a!.send(1, TAG, new Uint8Array(1)).catch(() => undefined);
      await t.throwsAsync(waiting, { instanceOf: PeerError, message: /device 0.* sent step 3, task 4, round 0 twice/ });
    },
  },
  {
    sentence: 'ends with a peer that sends a message of a step long gone',
    async run(t, [a, b]) {
      const waiting = b!.receive(0, { ...TAG, step: 1000 }, 1);
      await a!.send(1, TAG, new Uint8Array(1)).catch(() => undefined);
      await t.throwsAsync(waiting, { instanceOf: PeerError, message: /device 0.* late: step 1000 has begun/ });
    },
  },
  {
    sentence: 'takes a message of a step long gone that is waited for, sent at once or offered, and none after it',
    windowBytes: SMALL_WINDOW,
    async run(t, [a, b]) {
      const late = Array.from({ length: 5 }, (_, i) => b!.receive(0, round(i), 100));
      const later = b!.receive(0, { ...TAG, step: TAG.step + 32 }, 1);
      const sends = late.map((_, i) => a!.send(1, round(i), new Uint8Array(100).fill(i)));
      for (const [i, message] of late.entries()) t.true((await message).every((byte) => byte === i));
      await Promise.all(sends);
      await a!.send(1, { ...TAG, step: TAG.step + 32 }, Uint8Array.of(7));
      t.deepEqual([...(await later)], [7]);
      const waiting = b!.receive(0, { ...TAG, step: TAG.step + 64 }, 1);
      await a!.send(1, round(0), new Uint8Array(100)).catch(() => undefined);
      await t.throwsAsync(waiting, { instanceOf: PeerError, message: /device 0.* late: step 67 has begun/ });
    },
  },
  {
    sentence: 'gives what has come before a peer left, then names the peer',
    async run(t, [a, b]) {
      await a!.send(1, TAG, Uint8Array.of(5));
      await b!.send(0, TAG, Uint8Array.of(6));
      await a!.receive(1, TAG, 1);
      const pending = t.throwsAsync(b!.receive(0, round(9), 1), {
        instanceOf: PeerError,
        message: /device 0 has left/,
      });
      await a!.close();
      await pending;
      t.deepEqual([...(await b!.receive(0, TAG, 1))], [5]);
      await t.throwsAsync(b!.send(0, TAG, Uint8Array.of(1)), { instanceOf: PeerError, message: /device 0/ });
    },
  },
  {
    sentence: 'fails everything that waits for anyone once a peer has failed, with its reason',
    windowBytes: 0,
    async run(t, [a, b, c]) {
      const expected = {
        instanceOf: PeerError,
        message: /^device 0 has left: the disk is full( \(heard from device \d\))?$/,
      };
      const pending = [
        t.throwsAsync(b!.receive(2, TAG, 1), expected),
        t.throwsAsync(b!.send(2, TAG, new Uint8Array(1)), expected),
        t.throwsAsync(c!.receive(1, round(1), 1), expected),
      ];
      await a!.close('the disk is full');
      await Promise.all(pending);
      await t.throwsAsync(b!.receive(2, round(5), 1), expected);
    },
  },
];
