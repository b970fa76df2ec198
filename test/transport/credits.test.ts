import { setTimeout as sleep } from 'node:timers/promises';
import test from 'ava';
import * as fc from 'fast-check';
import { allReduce } from '../../runtime/collectives/all-reduce.ts';
import { createMemoryTransports } from '../../runtime/transport/memory.ts';
import type { Transport } from '../../runtime/transport/transport.ts';

/** Something that a device does, in the order of its program. */
type Action =
  | { readonly kind: 'send'; readonly message: number; readonly peer: number; readonly bytes: number }
  | { readonly kind: 'receive'; readonly message: number; readonly peer: number; readonly bytes: number }
  | { readonly kind: 'start'; readonly collective: number }
  | { readonly kind: 'finish'; readonly collective: number };

/**
 * Programs of devices that come from one order of everything, as a simulated plan's do: a message is sent before it is asked
 * for, a sum is started by all before any needs it.
 */
const programs = fc
  .record({
    devices: fc.integer({ min: 2, max: 4 }),
    windowBytes: fc.constantFrom(0, 300, 700, 3000),
    messages: fc.array(
      fc.record({
        from: fc.nat(),
        to: fc.nat(),
        bytes: fc.integer({ min: 0, max: 900 }),
        sent: fc.nat(999),
        wait: fc.nat(999),
      }),
      { maxLength: 25 },
    ),
    collectives: fc.array(
      fc.record({ starts: fc.array(fc.nat(999), { minLength: 4, maxLength: 4 }), wait: fc.nat(500) }),
      {
        maxLength: 3,
      },
    ),
  })
  .map(({ devices, windowBytes, messages, collectives }) => {
    const timed: { at: number; device: number; action: Action }[] = [];
    messages.forEach(({ from, to, bytes, sent, wait }, message) => {
      const sender = from % devices;
      const receiver = (sender + 1 + (to % (devices - 1))) % devices;
      timed.push({ at: sent, device: sender, action: { kind: 'send', message, peer: receiver, bytes } });
      timed.push({ at: sent + wait + 1, device: receiver, action: { kind: 'receive', message, peer: sender, bytes } });
    });
    collectives.forEach(({ starts, wait }, collective) => {
      const last = Math.max(...starts);
      for (let device = 0; device < devices; device++) {
        timed.push({ at: starts[device]!, device, action: { kind: 'start', collective } });
        timed.push({ at: last + wait + 1, device, action: { kind: 'finish', collective } });
      }
    });
    timed.sort((a, b) => a.at - b.at);
    const orders = Array.from({ length: devices }, (_, device) =>
      timed.filter((each) => each.device === device).map(({ action }) => action),
    );
    return { devices, windowBytes, orders };
  });

/** Runs a device's program twice, as a worker runs steps: sends go on in the background and are awaited at the end of a step. */
async function run(
  transport: Transport,
  order: readonly Action[],
  ring: readonly number[],
  check: () => void,
): Promise<void> {
  for (let step = 0; step < 2; step++) {
    const sends: Promise<void>[] = [];
    const sums = new Map<number, Promise<void>>();
    for (const action of order) {
      if (action.kind === 'send') {
        sends.push(transport.send(action.peer, { step, task: action.message, round: 0 }, new Uint8Array(action.bytes)));
      } else if (action.kind === 'receive') {
        await transport.receive(action.peer, { step, task: action.message, round: 0 }, action.bytes);
      } else if (action.kind === 'start') {
        const reduction = { algorithm: 'ring', devices: ring, nodes: [ring] } as const;
        const tag = { step, task: 1000 + action.collective };
        sums.set(action.collective, allReduce(reduction, transport, new Float32Array(50), tag));
      } else if (action.kind === 'finish') await sums.get(action.collective);
      check();
    }
    await Promise.all(sends);
  }
}

test('programs that come from one order never wait for each other in a circle, however little credit there is', async (t) => {
  await fc.assert(
    fc.asyncProperty(programs, async ({ devices, windowBytes, orders }) => {
      const transports = createMemoryTransports(devices, windowBytes);
      const ring = [...transports.keys()];
      const check = (): void => {
        for (const transport of transports) {
          for (const { heldBytes } of transport.traffic().values()) t.true(heldBytes <= windowBytes);
        }
      };
      const all = Promise.all(transports.map((transport, device) => run(transport, orders[device]!, ring, check)));
      // Only a circle takes so long.
      const outcome = await Promise.race([all.then(() => 'done'), sleep(10_000, 'waits for ever', { ref: false })]);
      t.is(outcome, 'done');
    }),
    { numRuns: 300 },
  );
});
