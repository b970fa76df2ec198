import type { Trace } from './chrome-trace.ts';

/**
 * Two traces as one, from the same moment on: the processes of the second stand below those of the first, with a word behind their
 * names. So a viewer lays a measured iteration over the predicted one.
 */
export function joinTraces(first: Trace, second: Trace, word: string): Trace {
  const [process, track] = [first.processes.length, first.tracks.length];
  return {
    processes: [...first.processes, ...second.processes.map((name) => `${name}, ${word}`)],
    tracks: [...first.tracks, ...second.tracks.map((each) => ({ ...each, process: each.process + process }))],
    slices: chain(first.slices, second.slices, (each) => ({ ...each, track: each.track + track })),
    flows: chain(first.flows, second.flows, (each) => ({
      ...each,
      fromTrack: each.fromTrack + track,
      toTrack: each.toTrack + track,
    })),
    counters: chain(first.counters, second.counters, (each) => ({ ...each, process: each.process + process })),
    about: first.about,
  };
}

function* chain<T>(first: Iterable<T>, second: Iterable<T>, moved: (each: T) => T): Generator<T> {
  yield* first;
  for (const each of second) yield moved(each);
}
