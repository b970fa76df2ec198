/**
 * Traces in the JSON object format of Chrome, which Perfetto opens. Source: "Trace Event Format", Google, sections "JSON
 * Object Format", "Duration events: complete" (X), "Counter events" (C), "Flow events" (s, f), "Metadata events" (M).
 *
 * Knows nothing of tasks, so that measured iterations are written by it as simulated ones are.
 */

/** A row of slices that do not overlap: a device, a link. */
export interface TraceTrack {
  readonly process: number;
  readonly name: string;
}

/** Something that takes time on a track. Times are microseconds from the start of the trace. */
export interface TraceSlice {
  /** Index in the list of tracks. */
  readonly track: number;
  readonly name: string;
  /** Perfetto groups and filters by it. */
  readonly category: string;
  readonly startUs: number;
  readonly durationUs: number;
  /** Shown when the slice is selected. */
  readonly details?: Readonly<Record<string, string | number>>;
}

/** An arrow from a moment of one track to a moment of another; each must lie within a slice there. */
export interface TraceFlow {
  readonly name: string;
  readonly fromTrack: number;
  readonly fromUs: number;
  readonly toTrack: number;
  readonly toUs: number;
}

/** A quantity over time. */
export interface TraceCounter {
  readonly process: number;
  readonly name: string;
  /** What is counted, with its unit: `bytes`. */
  readonly series: string;
  readonly timesUs: ArrayLike<number>;
  readonly values: ArrayLike<number>;
}

/** A whole trace. */
export interface Trace {
  /** Names, such as nodes; others refer to them by index. */
  readonly processes: readonly string[];
  readonly tracks: readonly TraceTrack[];
  readonly slices: Iterable<TraceSlice>;
  readonly flows: Iterable<TraceFlow>;
  readonly counters: Iterable<TraceCounter>;
  /** About the whole: model, cluster, whether it was simulated or measured. */
  readonly about: Readonly<Record<string, string | number>>;
}

/** Events in the text of a piece, so that none is too long. */
const EVENTS_PER_PIECE = 1024;

/** Writes a trace piece by piece; the pieces together are one JSON object. */
export function* encodeTrace(trace: Trace): Generator<string> {
  yield `{"displayTimeUnit":"ms","otherData":${JSON.stringify(trace.about)},"traceEvents":[`;
  let piece: string[] = [];
  let isFirst = true;
  for (const event of eventsOf(trace)) {
    piece.push(JSON.stringify(event));
    if (piece.length < EVENTS_PER_PIECE) continue;
    yield `${isFirst ? '' : ',\n'}${piece.join(',\n')}`;
    [piece, isFirst] = [[], false];
  }
  if (piece.length > 0) yield `${isFirst ? '' : ',\n'}${piece.join(',\n')}`;
  yield ']}\n';
}

/** Process and thread ids start at 1: viewers treat 0 as the idle one. */
function* eventsOf({ processes, tracks, slices, flows, counters }: Trace): Generator<object> {
  for (const [i, name] of processes.entries()) {
    yield { ph: 'M', name: 'process_name', pid: i + 1, tid: 0, args: { name } };
    yield { ph: 'M', name: 'process_sort_index', pid: i + 1, tid: 0, args: { sort_index: i } };
  }
  for (const [i, { process, name }] of tracks.entries()) {
    yield { ph: 'M', name: 'thread_name', pid: process + 1, tid: i + 1, args: { name } };
    yield { ph: 'M', name: 'thread_sort_index', pid: process + 1, tid: i + 1, args: { sort_index: i } };
  }
  const at = (track: number): { pid: number; tid: number } => ({ pid: tracks[track]!.process + 1, tid: track + 1 });
  for (const { track, name, category, startUs, durationUs, details } of slices) {
    yield { ph: 'X', name, cat: category, ts: startUs, dur: durationUs, ...at(track), args: details ?? {} };
  }
  let id = 0;
  for (const { name, fromTrack, fromUs, toTrack, toUs } of flows) {
    id += 1;
    yield { ph: 's', id, name, cat: 'flow', ts: fromUs, ...at(fromTrack) };
    yield { ph: 'f', bp: 'e', id, name, cat: 'flow', ts: toUs, ...at(toTrack) };
  }
  for (const { process, name, series, timesUs, values } of counters) {
    for (let i = 0; i < timesUs.length; i++) {
      yield { ph: 'C', name, pid: process + 1, tid: 0, ts: timesUs[i], args: { [series]: values[i] } };
    }
  }
}
