import type { OnnxDType, OnnxTensor } from '../onnx/model.ts';
import { ELEMENT_BYTES, elementsOf } from '../onnx/element-types.ts';
import { elementCount } from '../onnx/indexing.ts';
import { isRecord } from '../schema/is-record.ts';

/**
 * The safetensors format: 8 bytes little-endian length of a JSON header, the header, the data of all tensors.
 * Source: https://github.com/huggingface/safetensors#format
 */
const LENGTH_BYTES = 8;

/** Source: as above, "the header has a size limit of 100MB". */
const MAX_HEADER_BYTES = 100_000_000;

const DTYPES = new Map<string, OnnxDType>([
  ['F32', 'float32'],
  ['F64', 'float64'],
  ['I64', 'int64'],
  ['I32', 'int32'],
  ['U8', 'uint8'],
  ['BOOL', 'bool'],
]);

/** A tensor of a file: its type, shape, and bytes counted from the start of the file. */
export interface SafetensorsEntry {
  readonly dtype: OnnxDType;
  readonly shape: readonly number[];
  readonly start: number;
  readonly end: number;
}

export interface SafetensorsHeader {
  readonly tensors: ReadonlyMap<string, SafetensorsEntry>;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A file that is no whole safetensors file: a sentence with what, got and expected. */
export class SafetensorsError extends Error {
  override readonly name = 'SafetensorsError';
}

/**
 * Bytes of the header, from the first 8 bytes of a file.
 * @throws {SafetensorsError} where the file cannot hold them
 */
export function headerLength(prefix: Uint8Array, fileBytes: number, source: string): number {
  if (prefix.byteLength < LENGTH_BYTES) {
    throw new SafetensorsError(
      `${source} has ${fileBytes} bytes; expected a safetensors file of at least ${LENGTH_BYTES}`,
    );
  }
  const view = new DataView(prefix.buffer, prefix.byteOffset, LENGTH_BYTES);
  const length = Number(view.getBigUint64(0, true));
  if (length > MAX_HEADER_BYTES || LENGTH_BYTES + length > fileBytes) {
    throw new SafetensorsError(
      `${source} announces a header of ${length} bytes in a file of ${fileBytes}; it is truncated or no safetensors file`,
    );
  }
  return length;
}

/**
 * Reads the header of a file: its text after the first 8 bytes.
 * @throws {SafetensorsError} for entries that do not fit the file or overlap
 */
export function parseHeader(text: Uint8Array, fileBytes: number, source: string): SafetensorsHeader {
  const json = parseJson(text, source);
  const dataStart = LENGTH_BYTES + text.byteLength;
  const tensors = new Map<string, SafetensorsEntry>();
  let metadata: Record<string, string> = {};
  for (const [name, value] of Object.entries(json)) {
    if (name === '__metadata__') metadata = stringRecord(value);
    else tensors.set(name, parseEntry(value, dataStart, fileBytes, `${source}: tensor '${name}'`));
  }
  checkCoverage(tensors, dataStart, fileBytes, source);
  return { tensors, metadata };
}

/** Tensors lie one after the other and fill the file. Source: as above, "the byte buffer needs to be entirely indexed". */
function checkCoverage(
  tensors: ReadonlyMap<string, SafetensorsEntry>,
  dataStart: number,
  fileBytes: number,
  source: string,
): void {
  let covered = dataStart;
  for (const [name, { start, end }] of [...tensors].sort(([, a], [, b]) => a.start - b.start || a.end - b.end)) {
    if (start !== covered) {
      const fault = start < covered ? 'overlaps the tensor before it' : 'leaves a gap before it';
      throw new SafetensorsError(
        `${source}: tensor '${name}' at byte ${start} ${fault}; expected byte ${covered}: the file is damaged`,
      );
    }
    covered = end;
  }
  if (covered !== fileBytes) {
    throw new SafetensorsError(
      `${source} has ${fileBytes} bytes, its tensors end at ${covered}; expected the same: the file is damaged`,
    );
  }
}

/** Reads a whole file. @throws {SafetensorsError} */
export function decodeSafetensors(
  bytes: Uint8Array,
  source: string = 'the safetensors file',
): { tensors: Map<string, OnnxTensor>; metadata: Readonly<Record<string, string>> } {
  const length = headerLength(bytes, bytes.byteLength, source);
  const header = parseHeader(bytes.subarray(LENGTH_BYTES, LENGTH_BYTES + length), bytes.byteLength, source);
  const tensors = new Map<string, OnnxTensor>();
  for (const [name, { dtype, shape, start, end }] of header.tensors) {
    tensors.set(name, { dtype, shape, data: elementsOf(dtype, bytes.subarray(start, end)) });
  }
  return { tensors, metadata: header.metadata };
}

/**
 * The parts of a file, in order: length and header, then each tensor's bytes.
 * @throws {SafetensorsError} for the one name that the format reserves
 */
export function encodeSafetensors(
  tensors: ReadonlyMap<string, OnnxTensor>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array[] {
  const codes = new Map([...DTYPES].map(([code, dtype]) => [dtype, code]));
  const entries: [string, unknown][] = [['__metadata__', metadata]];
  const parts: Uint8Array[] = [];
  let offset = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    if (name === '__metadata__')
      throw new SafetensorsError(`a tensor cannot be called '${name}'; the format reserves it`);
    entries.push([name, { dtype: codes.get(dtype), shape, data_offsets: [offset, offset + data.byteLength] }]);
    parts.push(new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
    offset += data.byteLength;
  }
  const text = new TextEncoder().encode(JSON.stringify(Object.fromEntries(entries)));
  // Padded with spaces so that the data begins at a multiple of 8, as the format recommends.
  const padded = new Uint8Array(Math.ceil(text.byteLength / 8) * 8).fill(0x20);
  padded.set(text);
  const length = new Uint8Array(LENGTH_BYTES);
  new DataView(length.buffer).setBigUint64(0, BigInt(padded.byteLength), true);
  return [length, padded, ...parts];
}

function parseJson(text: Uint8Array, source: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(text));
    if (isRecord(value)) return value;
  } catch {
    // The sentence below says it all.
  }
  throw new SafetensorsError(`${source} has a header that is no JSON object; it is damaged or no safetensors file`);
}

function parseEntry(value: unknown, dataStart: number, fileBytes: number, what: string): SafetensorsEntry {
  const { dtype: code, shape, data_offsets: offsets } = isRecord(value) ? value : {};
  const dtype = typeof code === 'string' ? DTYPES.get(code) : undefined;
  if (dtype === undefined) {
    throw new SafetensorsError(
      `${what} has dtype ${JSON.stringify(code)}; expected one of ${[...DTYPES.keys()].join(', ')}`,
    );
  }
  if (!isSizes(shape) || !isSizes(offsets) || offsets.length !== 2) {
    throw new SafetensorsError(`${what} has no valid shape and data_offsets; the file is damaged`);
  }
  const [start, end] = offsets;
  const bytes = elementCount(shape) * ELEMENT_BYTES[dtype];
  if (end! - start! !== bytes || dataStart + end! > fileBytes) {
    throw new SafetensorsError(
      `${what} of shape [${shape}] has bytes ${start} to ${end} of ${fileBytes - dataStart}; expected ${bytes} bytes: ` +
        'the file is truncated or damaged',
    );
  }
  return { dtype, shape, start: dataStart + start!, end: dataStart + end! };
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

function stringRecord(value: unknown): Record<string, string> {
  if (!isRecord(value)) return {};
  return Object.fromEntries(
    Object.entries(value).filter((entry): entry is [string, string] => typeof entry[1] === 'string'),
  );
}
