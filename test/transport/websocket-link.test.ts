import test from 'ava';
import { WebSocketLink } from '../../runtime/transport/websocket-link.ts';
import { encodeHeader, HEADER_BYTES } from '../../runtime/wire/header.ts';
import { frameHead } from '../../runtime/wire/web-socket-frames.ts';
import { connected } from '../support/transports.ts';

const OPTIONS = { patienceMs: 60_000, isNear: false };
const PAYLOAD_BYTES = 100;

/** A frame of a client with one tensor, of a step of its own. */
function frameOf(step: number): Buffer {
  const header = new Uint8Array(HEADER_BYTES);
  encodeHeader({ kind: 'tensor', step, task: 0, round: 0, payloadBytes: PAYLOAD_BYTES }, header);
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(step);
  return Buffer.concat([frameHead('binary', HEADER_BYTES + PAYLOAD_BYTES, true), header, payload]);
}

/** Attaches a link to what a callee has of a connection. Resolves with the steps of the first messages, or why it ended. */
async function heard(head: Uint8Array, rest: Uint8Array, count: number): Promise<readonly number[] | string> {
  const [caller, callee] = await connected();
  const link = new WebSocketLink({ socket: callee, head, isClient: false }, OPTIONS);
  const steps: number[] = [];
  const outcome = new Promise<readonly number[] | string>((resolve) => {
    link.attach({
      admit: () => undefined,
      place: () => undefined,
      onMessage({ step, payload }) {
        if (payload.length === PAYLOAD_BYTES && payload.every((byte) => byte === step)) steps.push(step);
        if (steps.length === count) resolve(steps);
      },
      onEnd: resolve,
    });
  });
  caller.write(rest);
  const result = await outcome;
  link.end('the test is over');
  caller.destroy();
  return result;
}

test('messages that begin in the bytes of the handshake come whole, wherever these end', async (t) => {
  const frames = [1, 2, 3].map(frameOf);
  const whole = Buffer.concat(frames);
  const [length] = frames.map((frame) => frame.length);
  const ends = [1, 2, 5, length! - 1, length!, length! + 1, length! + 30, 2 * length!, whole.length - 1];
  for (const end of ends) {
    t.deepEqual(await heard(whole.subarray(0, end), whole.subarray(end), 3), [1, 2, 3], `the first ${end} bytes`);
  }
});

test('bytes of the handshake that are no frames end the link, however many they are', async (t) => {
  const garbage = Buffer.alloc(40_000, 0x81);
  t.is(await heard(garbage, garbage, 1), 'it sent text; expected binary frames');
});
