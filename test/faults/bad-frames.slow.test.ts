import test from 'ava';
import { FRAME_KINDS, HEADER_BYTES } from '../../runtime/wire/header.ts';
import { startDevices } from '../support/device-processes.ts';
import type { FrameChange, WebSocketFrame } from '../support/frame-proxy.ts';
import { startProxy, webSocketFrame } from '../support/frame-proxy.ts';

const [KIND_AT, STEP_AT, BYTES_AT] = [5, 8, 20];
const HUGE_BYTES = 2 ** 31;

/** Whether a frame is a tensor with its payload behind it. */
function isInlineTensor({ bytes, start }: WebSocketFrame): boolean {
  const payload = bytes.subarray(start);
  return (
    payload.length > HEADER_BYTES &&
    payload.toString('latin1', 0, 4) === 'SOAP' &&
    payload[KIND_AT] === FRAME_KINDS.tensor
  );
}

/** Changes the first tensor frame that comes; all others go through. */
function once(change: (payload: Buffer, whole: Buffer) => readonly Buffer[]): FrameChange {
  let done = false;
  return (frame) => {
    if (done || !isInlineTensor(frame)) return [frame.bytes];
    done = true;
    return change(frame.bytes.subarray(frame.start), frame.bytes);
  };
}

/** The same frame with some bytes changed. */
const edited = (edit: (payload: Buffer) => void): FrameChange =>
  once((payload, whole) => {
    edit(payload);
    return [whole];
  });

/** What is done to one frame on its way from device 0 to device 1, and what device 1 says of it. */
const CASES: readonly [string, FrameChange, RegExp][] = [
  ['of other bytes', edited((payload) => payload.write('SOUP')), /a header frame does not begin with SOAP/],
  ['of another version', edited((payload) => (payload[4] = 9)), /the peer speaks version 9; expected 4/],
  [
    'of an unknown kind',
    edited((payload) => (payload[KIND_AT] = 77)),
    /a header frame has kind 77; expected tensor, offer/,
  ],
  [
    'that announces more than it has credit for',
    edited((payload) => payload.writeUInt32LE(HUGE_BYTES, BYTES_AT)),
    /a tensor frame has \d+ bytes; expected 24/,
  ],
  [
    'with an oversized tensor',
    once((payload) => {
      const header = Buffer.from(payload.subarray(0, HEADER_BYTES));
      header.writeUInt32LE(HUGE_BYTES, BYTES_AT);
      return [webSocketFrame(header)];
    }),
    /it sent 2147483648 bytes( unasked; expected at most \d+|; expected \d+: the devices do not run the same plan)/,
  ],
  [
    'that is truncated',
    once((payload) => [webSocketFrame(payload.subarray(0, -1))]),
    /a tensor frame has \d+ bytes; expected \d+/,
  ],
  [
    'of 2 MiB',
    once((payload) => [webSocketFrame(payload, 2 ** 21)]),
    /it sent a WebSocket frame of 2097152 bytes; expected at most 1048576/,
  ],
  ['that comes twice', once((_, whole) => [whole, whole]), /it sent step \d+, task \d+, round \d+ twice/],
  [
    'that comes again, many steps later',
    once((_, whole) => {
      const late = Buffer.from(whole);
      late.writeUInt32LE(0, whole.length - (whole.length - whole.indexOf('SOAP')) + STEP_AT);
      return [whole, late];
    }),
    /it sent step 0, task \d+, round \d+ late: step \d+ has begun/,
  ],
  [
    'of text',
    once((payload) => {
      const frame = webSocketFrame(Buffer.from('x'.repeat(payload.length)));
      frame[0] = 0x81;
      return [frame];
    }),
    /it sent text; expected binary frames/,
  ],
];

for (const [what, change, pattern] of CASES) {
  test.serial(`a frame ${what} ends both devices with a sentence that names peer and step`, async (t) => {
    const proxy = await startProxy();
    t.teardown(() => proxy.close());
    const devices = await startDevices({ count: 2, through: proxy });
    await devices[1]!.event((event) => event.type === 'step' && event.step >= 30);
    proxy.change(change);
    const [sender, receiver] = await Promise.all(devices.map(({ ended }) => ended));
    t.regex(String(receiver!.message), /^step \d+: device 0 is lost: /);
    t.regex(String(receiver!.message), pattern);
    t.regex(String(sender!.message), /^step \d+: device 1 (is lost|has left)/);
  });
}
