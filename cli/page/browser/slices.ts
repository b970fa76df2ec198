import type { PageData } from '../page-data.ts';

/** Slices in typed arrays; row r has those from `first[r]` to just before `first[r + 1]`, in order of time. */
export interface RowSlices {
  readonly startUs: Float32Array;
  readonly durationUs: Float32Array;
  readonly code: Uint32Array;
  readonly first: Uint32Array;
  /** Sums of the durations before each slice, within all rows. */
  readonly sumUs: Float64Array;
}

/** The timeline's slices, and the critical path. */
export interface Slices extends RowSlices {
  readonly pathFromUs: Float32Array;
  readonly pathToUs: Float32Array;
  readonly pathRow: Uint32Array;
}

export function decodeSlices(data: PageData): Slices {
  const durationUs = new Float32Array(decode(data.sliceDurationUs));
  const first = new Uint32Array(data.rows.length + 1);
  data.rows.forEach(({ sliceCount }, row) => (first[row + 1] = first[row]! + sliceCount));
  return {
    startUs: new Float32Array(decode(data.sliceStartUs)),
    durationUs,
    code: new Uint32Array(decode(data.sliceCode)),
    first,
    sumUs: sumsOf(durationUs),
    pathFromUs: new Float32Array(decode(data.pathFromUs)),
    pathToUs: new Float32Array(decode(data.pathToUs)),
    pathRow: new Uint32Array(decode(data.pathRow)),
  };
}

/** Those of one op. */
export function slicesOf(op: number, { startUs, durationUs, code, first }: RowSlices): RowSlices {
  const own: number[] = [];
  const ownFirst = new Uint32Array(first.length);
  for (let row = 0; row < first.length - 1; row++) {
    for (let i = first[row]!; i < first[row + 1]!; i++) if (code[i]! >>> 3 === op) own.push(i);
    ownFirst[row + 1] = own.length;
  }
  const ownDurationUs = Float32Array.from(own, (i) => durationUs[i]!);
  return {
    startUs: Float32Array.from(own, (i) => startUs[i]!),
    durationUs: ownDurationUs,
    code: Uint32Array.from(own, (i) => code[i]!),
    first: ownFirst,
    sumUs: sumsOf(ownDurationUs),
  };
}

function sumsOf(durationUs: Float32Array): Float64Array {
  const sumUs = new Float64Array(durationUs.length + 1);
  for (let i = 0; i < durationUs.length; i++) sumUs[i + 1] = sumUs[i]! + durationUs[i]!;
  return sumUs;
}

function decode(base64: string): ArrayBuffer {
  return Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0)).buffer;
}

/** First index from `from` to `to` whose start is at or after a time; `to` where none is. */
export function firstFrom(startUs: Float32Array, timeUs: number, from: number, to: number): number {
  let [low, high] = [from, to];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (startUs[middle]! < timeUs) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The slice of a row that a moment is in, or the nearest before it; undefined where there is none. */
export function sliceAt({ startUs, first }: Slices, row: number, timeUs: number): number | undefined {
  const after = firstFrom(startUs, timeUs, first[row]!, first[row + 1]!);
  const at = startUs[after] === timeUs && after < first[row + 1]! ? after : after - 1;
  return at < first[row]! ? undefined : at;
}
