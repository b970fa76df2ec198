import type { Random } from '../../../soap/random.ts';

/** Wire types of a field. Source: https://protobuf.dev/programming-guides/encoding/ */
const [VARINT, FIXED64, LENGTH, FIXED32] = [0, 1, 2, 5];

/** Messages lie no deeper than this in an ONNX file. */
const MAX_DEPTH = 8;

const EDGES = [0n, 1n, 2n, 7n, 127n, 255n, 2n ** 31n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 64n - 1n];

/** A field of a message as it is in the file, and where its content begins: after its tag, and a length. */
interface Field {
  readonly number: number;
  readonly type: number;
  readonly content: Uint8Array;
}

/**
 * A message with one to three fields changed, left out, doubled, or exchanged with others; lengths fit, so that what reads
 * the values sees the change. Bytes that are no message come back as they are.
 */
export function mutateProtobuf(message: Uint8Array, random: Random): Uint8Array {
  let bytes = message;
  for (let count = 1 + random.integer(3); count > 0; count--) bytes = mutated(bytes, random, 0) ?? bytes;
  return bytes;
}

function mutated(message: Uint8Array, random: Random, depth: number): Uint8Array | undefined {
  const fields = fieldsOf(message);
  if (fields === undefined || fields.length === 0) return undefined;
  const at = random.integer(fields.length);
  const field = fields[at]!;
  const inner = depth < MAX_DEPTH && field.type === LENGTH && random.integer(10) > 0;
  const content = inner ? mutated(field.content, random, depth + 1) : undefined;
  if (content !== undefined) return encode(fields.with(at, { ...field, content }));
  switch (random.integer(6)) {
    case 0:
      return encode(fields.toSpliced(at, 1));
    case 1:
      return encode(fields.toSpliced(at, 0, field));
    case 2:
      return encode(fields.with(at, { ...field, content: fields[random.integer(fields.length)]!.content }));
    case 3:
      return encode(fields.with(at, { ...field, number: 1 + random.integer(20) }));
    default:
      return encode(fields.with(at, { ...field, content: changed(field, random) }));
  }
}

function changed({ type, content }: Field, random: Random): Uint8Array {
  if (type === VARINT) return varint(EDGES[random.integer(EDGES.length)]!);
  const copy = Uint8Array.from(content);
  if (copy.length === 0) return type === LENGTH ? Uint8Array.of(random.integer(256)) : copy;
  copy[random.integer(copy.length)] = random.integer(256);
  return type === LENGTH && random.integer(3) === 0 ? copy.subarray(0, random.integer(copy.length)) : copy;
}

/** The fields of a message; undefined where the bytes are none, as those of texts and packed numbers. */
function fieldsOf(bytes: Uint8Array): Field[] | undefined {
  const fields: Field[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = readVarint(bytes, at);
    if (tag === undefined) return undefined;
    const [number, type] = [Number(tag.value >> 3n), Number(tag.value & 7n)];
    const field = number === 0 ? undefined : contentAt(bytes, tag.end, type);
    if (field === undefined) return undefined;
    fields.push({ number, type, content: bytes.subarray(field.start, field.end) });
    at = field.end;
  }
  return fields;
}

function contentAt(bytes: Uint8Array, start: number, type: number): { start: number; end: number } | undefined {
  const within = (from: number, end: number) => (end <= bytes.length ? { start: from, end } : undefined);
  if (type === FIXED64) return within(start, start + 8);
  if (type === FIXED32) return within(start, start + 4);
  const number = readVarint(bytes, start);
  if (number === undefined || (type !== VARINT && type !== LENGTH)) return undefined;
  return type === VARINT ? within(start, number.end) : within(number.end, number.end + Number(number.value));
}

function readVarint(bytes: Uint8Array, start: number): { value: bigint; end: number } | undefined {
  let value = 0n;
  for (let i = 0; i < 10 && start + i < bytes.length; i++) {
    const byte = bytes[start + i]!;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return { value, end: start + i + 1 };
  }
  return undefined;
}

function encode(fields: readonly Field[]): Uint8Array {
  return Buffer.concat(
    fields.flatMap(({ number, type, content }) => [
      varint(BigInt(number * 8 + type)),
      ...(type === LENGTH ? [varint(BigInt(content.length))] : []),
      content,
    ]),
  );
}

function varint(value: bigint): Uint8Array {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest > 0n ? low | 0x80 : low);
  } while (rest > 0n);
  return Uint8Array.from(bytes);
}
