/**
 * Instructions of WebAssembly, as bytes, and modules of one function: what {@link philoxModule} is written in.
 * Source: WebAssembly Core Specification 2.0, https://www.w3.org/TR/wasm-core-2/, section 5 and the opcodes of its appendix.
 */

/** Instructions, encoded. */
export type Code = readonly number[];

/** The type of vectors, encoded. */
export const V128 = 0x7b;

/** That of 32-bit integers. */
const I32 = 0x7f;

const [VECTOR, EMPTY_BLOCK, END] = [0xfd, 0x40, 0x0b];

/** An unsigned number as LEB128. */
function unsigned(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...unsigned(value >>> 7)];
}

/** A signed 32-bit number as LEB128. */
function signed(value: number): number[] {
  const [low, rest] = [value & 0x7f, value >> 7];
  const isLast = (rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0);
  return isLast ? [low] : [low | 0x80, ...signed(rest)];
}

export const get = (local: number): Code => [0x20, ...unsigned(local)];
export const set = (local: number, value: Code): Code => [...value, 0x21, ...unsigned(local)];
export const number = (value: number): Code => [0x41, ...signed(value)];
export const plus = (a: Code, b: Code): Code => [...a, ...b, 0x6a];
export const isZero = (a: Code): Code => [...a, 0x45];
const isBelow = (a: Code, b: Code): Code => [...a, ...b, 0x49];

/** Does the body, and does it again as long as a is below b, both unsigned. */
export const repeatWhileBelow = (a: Code, b: Code, body: Code): Code =>
  [0x03, EMPTY_BLOCK].concat(body, isBelow(a, b), 0x0d, 0, END);

const vector = (opcode: number, ...operands: Code[]): Code => [...operands.flat(), VECTOR, ...unsigned(opcode)];

/** Vectors of four 32-bit lanes. */
export const splat = (a: Code): Code => vector(17, a);
export const lanes = (values: readonly [number, number, number, number]): Code => [
  ...vector(12),
  ...values.flatMap((value) => [0, 8, 16, 24].map((shift) => (value >>> shift) & 0xff)),
];
export const xor = (a: Code, b: Code): Code => vector(81, a, b);
export const and = (a: Code, b: Code): Code => vector(78, a, b);
export const addLanes = (a: Code, b: Code): Code => vector(174, a, b);
/** Of each lane, whether it is at least b's, unsigned: all its bits are 1 or 0. */
export const isAtLeast = (a: Code, b: Code): Code => vector(64, a, b);
/** Products of 64 bits of lanes 0 and 1, or 2 and 3, unsigned. */
export const productsLow = (a: Code, b: Code): Code => vector(222, a, b);
export const productsHigh = (a: Code, b: Code): Code => vector(223, a, b);
/** Every second lane of two vectors, from the first or from the second on. */
export const everySecond = (a: Code, b: Code, from: 0 | 1): Code => [
  ...vector(13, a, b),
  ...[0, 2, 4, 6].flatMap((lane) => [0, 1, 2, 3].map((byte) => 4 * (lane + from) + byte)),
];
/** Lanes of 32 bits to those of 16, and these to bytes, with saturation. */
export const narrowTo16 = (a: Code, b: Code): Code => vector(133, a, b);
export const narrowTo8 = (a: Code, b: Code): Code => vector(101, a, b);
/** Writes a vector at an address, aligned or not. */
export const store = (address: Code, value: Code): Code => [...vector(11, address, value), 0, 0];

/** Most pages of 64 KiB that a memory has. */
export const MAX_PAGES = 65_536;

/**
 * A module that exports `run`, a function of i32 parameters without a result, over the shared memory that it imports as
 * `host.memory`.
 * @param locals types of the locals behind the parameters
 */
export function moduleOf(parameters: number, locals: Code, body: Code): Uint8Array<ArrayBuffer> {
  const section = (id: number, content: Code): Code => [id, ...unsigned(content.length), ...content];
  const name = (text: string): Code => [text.length, ...Buffer.from(text)];
  const type = [0x60, ...unsigned(parameters), ...Array<number>(parameters).fill(I32), 0];
  const sharedMemory = [2, 3, 0, ...unsigned(MAX_PAGES)];
  const code = [...unsigned(locals.length), ...locals.flatMap((local) => [1, local]), ...body, END];
  const magicAndVersion = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];
  return Uint8Array.from([
    ...magicAndVersion,
    ...section(1, [1, ...type]),
    ...section(2, [1, ...name('host'), ...name('memory'), ...sharedMemory]),
    ...section(3, [1, 0]),
    ...section(7, [1, ...name('run'), 0, 0]),
    ...section(10, [1, ...unsigned(code.length), ...code]),
  ]);
}
