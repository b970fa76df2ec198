import { readdirSync, statSync } from 'node:fs';
import fc from 'fast-check';
import test from 'ava';
import { AreaSpace } from '../../runtime/transport/area-space.ts';
import type { Delivery, LinkEvents } from '../../runtime/transport/link.ts';
import { NO_TAG } from '../../runtime/transport/link.ts';
import { AREA_BYTES, createArea } from '../../runtime/transport/shared-area.ts';
import type { AttachableLink } from '../../runtime/transport/shared-memory-link.ts';
import { SharedMemoryLink } from '../../runtime/transport/shared-memory-link.ts';
import type { FrameKind } from '../../runtime/wire/header.ts';

const MIB = 2 ** 20;
const inMemory = process.platform === 'linux' ? test : test.skip;

/** A link that hands messages on at once, and keeps in mind of what kind they were. */
class PlainLink implements AttachableLink {
  readonly kinds: FrameKind[] = [];
  other: PlainLink | undefined;
  events: LinkEvents | undefined;
  #waiting: Delivery[] = [];

  attach(events: LinkEvents): this {
    this.events = events;
    for (const message of this.#waiting) events.onMessage(message);
    this.#waiting = [];
    return this;
  }

  send(kind: FrameKind, tag: Delivery | typeof NO_TAG, payload: Uint8Array): Promise<void> {
    this.kinds.push(kind);
    this.other!.hear({ ...tag, kind, payloadBytes: payload.byteLength, payload: Uint8Array.from(payload) });
    return Promise.resolve();
  }

  hear(message: Delivery): void {
    if (this.events === undefined) this.#waiting.push(message);
    else this.events.onMessage(message);
  }

  leave(): void {
    this.end('it left');
  }

  end(reason: string): void {
    this.events!.onEnd(reason);
  }
}

/** Two ends; the second one keeps what comes. */
function joined(): {
  inner: PlainLink;
  sender: SharedMemoryLink;
  came: Delivery[];
  outer: PlainLink;
  receiver: SharedMemoryLink;
} {
  const [inner, outer] = [new PlainLink(), new PlainLink()];
  [inner.other, outer.other] = [outer, inner];
  const came: Delivery[] = [];
  const events = {
    admit: () => undefined,
    place: () => undefined,
    onEnd: () => undefined,
    onMessage: (each: Delivery) => void came.push(each),
  };
  const sender = new SharedMemoryLink(inner).attach(events);
  const receiver = new SharedMemoryLink(outer).attach(events);
  return { inner, sender, came, outer, receiver };
}

inMemory('tensors go through shared memory while there is room, others and the rest over the link', async (t) => {
  const { inner, sender, came } = joined();
  t.deepEqual(inner.kinds, ['memory', 'freed']);
  const tensor = Uint8Array.from({ length: MIB }, (_, i) => i % 251);
  await sender.send('tensor', NO_TAG, tensor.subarray(0, 100));
  for (let i = 0; i <= AREA_BYTES / MIB; i++) await sender.send(i % 2 === 0 ? 'tensor' : 'wanted', NO_TAG, tensor);
  const runs = Array.from({ length: AREA_BYTES / MIB }, () => 'shared');
  t.deepEqual(inner.kinds.slice(2), ['tensor', ...runs, 'tensor']);
  t.deepEqual(
    came.slice(1).map(({ kind }) => kind),
    Array.from({ length: runs.length + 1 }, (_, i) => (i % 2 === 0 ? 'tensor' : 'wanted')),
  );
  for (const { payload } of came.slice(1)) t.true(Buffer.from(tensor).equals(payload));
  came[1]!.release!();
  await sender.send('tensor', NO_TAG, tensor);
  t.is(inner.kinds.at(-1), 'shared');
});

inMemory('nothing is left in the file system once both ends have mapped it', (t) => {
  const own = (): string[] => readdirSync('/dev/shm').filter((name) => name.startsWith('soapstone-'));
  const before = new Set(own());
  joined();
  t.deepEqual(
    own().filter((name) => !before.has(name)),
    [],
  );
});

inMemory('a place outside the memory, a run that was not sent, and a foreign name are refused', (t) => {
  const { outer, inner } = joined();
  const say = (kind: FrameKind, task: number, payload: Uint8Array): void =>
    outer.events!.onMessage({ ...NO_TAG, kind, task, payload, payloadBytes: payload.byteLength });
  const place = new Uint8Array(Uint32Array.of(1, AREA_BYTES - 8, 16, 0).buffer);
  t.throws(() => say('shared', 0, place), { message: /bytes 16777208 to 16777224 of 16777216 shared ones/ });
  t.throws(() => say('shared', 0, new Uint8Array(12)), { message: /does not say where/ });
  t.throws(() => say('shared', 0, new Uint8Array(18)), { message: /18 bytes; expected integers of 4/ });
  t.throws(() => say('freed', 0, new Uint8Array(Uint32Array.of(77).buffer)), {
    message: /run 77, which it was not sent/,
  });
  t.throws(() => say('memory', 0, new TextEncoder().encode('../etc/passwd')), {
    message: /expected a name of its own/,
  });
  const withRun = new Uint8Array(Uint32Array.of(1, 0, 16, 0, 78).buffer);
  t.throws(() => say('shared', 0, withRun), { message: /run 78, which it was not sent/ });
  t.is(inner.kinds.length, 2);
});

inMemory('what was read is given back with the next tensor, or by itself where it is much', async (t) => {
  const { inner, sender, came, outer, receiver } = joined();
  const told = (): FrameKind[] => outer.kinds.filter((kind) => kind !== 'memory');
  const before = told().length;
  const tensor = new Uint8Array(32_768);
  const places = new Set<number>();
  for (let i = 0; i < 100; i++) {
    await sender.send('tensor', NO_TAG, tensor);
    const message = came.pop()!;
    places.add(message.payload.byteOffset);
    message.release!();
    await receiver.send('tensor', NO_TAG, tensor);
    came.pop()!.release!();
  }
  t.deepEqual(
    told().slice(before),
    Array.from({ length: 100 }, () => 'shared'),
  );
  t.true(places.size <= 2);
  for (let i = 0; i < 8; i++) await sender.send('tensor', NO_TAG, tensor);
  for (const { release } of came.splice(0)) release!();
  t.is(told().at(-1), 'freed');
  t.is(inner.kinds.at(-1), 'shared');
});

inMemory('an area takes no more memory than was reserved, and none once it is closed', (t) => {
  const area = createArea()!;
  const taken = (): number => 512 * statSync(`/dev/shm/${area.name}`).blocks;
  t.teardown(() => area.forget());
  t.deepEqual([area.bytes.byteLength, taken()], [AREA_BYTES, 0]);
  t.true(area.reserve(1));
  t.true(area.reserve(MIB + 1));
  t.true(area.reserve(MIB));
  t.is(taken(), 2 * MIB);
  area.bytes.fill(1, 0, 2 * MIB);
  area.close();
  t.true(area.reserve(2 * MIB));
  t.false(area.reserve(2 * MIB + 1));
  t.is(taken(), 2 * MIB);
});

inMemory('tensors that are taken out one by one stay in the same MiB', async (t) => {
  const { inner, sender, came } = joined();
  const places = new Set<number>();
  for (let i = 0; i < 40; i++) {
    await sender.send('tensor', NO_TAG, new Uint8Array(MIB).fill(i));
    t.deepEqual([inner.kinds.at(-1), came[i]!.payload[MIB - 1]], ['shared', i]);
    places.add(came[i]!.payload.byteOffset);
    came[i]!.release!();
  }
  t.deepEqual([...places], [0]);
});

test('runs of an area never overlap, whatever order they are given back in', (t) => {
  const step = fc.record({ bytes: fc.integer({ min: 1, max: 700 }), frees: fc.array(fc.nat(), { maxLength: 3 }) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const space = new AreaSpace(1024);
      let held: { id: number; start: number; end: number }[] = [];
      for (const { bytes, frees } of steps) {
        const run = space.take(bytes);
        if (run !== undefined) {
          const end = run.start + bytes;
          if (end > 1024 || held.some((each) => run.start < each.end && each.start < end)) return false;
          held.push({ ...run, end });
        } else if (held.length === 0) return false;
        for (const index of frees) {
          const [gone] = held.splice(index % Math.max(1, held.length), 1);
          if (gone !== undefined && !space.free(gone.id)) return false;
        }
      }
      for (const { id } of held) space.free(id);
      held = [];
      return space.take(1024) !== undefined && !space.free(0);
    }),
  );
  t.pass();
});
