/** A line of a pod's log. */
export interface LogLine {
  readonly pod: string;
  /** RFC 3339 with up to nine digits of a second, as kubelets write it. */
  readonly time: string;
  readonly text: string;
}

/** A time as kubelets write it before each line, and what stands behind it. */
const STAMPED = /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\S*)(?: ([^]*))?$/;

/**
 * The lines of a log whose lines begin with their time. One without, such as where a kubelet says that the log is gone, has that of the
 * line before it.
 */
export function stampedLines(pod: string, log: string): LogLine[] {
  let before = '';
  return log.split('\n').flatMap((line) => {
    if (line === '') return [];
    const [, time, text = ''] = STAMPED.exec(line) ?? [];
    if (time !== undefined) before = time;
    return [time === undefined ? { pod, time: before, text: line } : { pod, time, text }];
  });
}

/** Lines of several logs in the order of time; what was written at the same time stays in the order of the logs. */
export function mergeByTime(logs: readonly (readonly LogLine[])[]): LogLine[] {
  const keyed = logs.flat().map((line) => ({ line, key: sortable(line.time) }));
  return keyed.toSorted((a, b) => (a.key < b.key ? -1 : a.key > b.key ? 1 : 0)).map(({ line }) => line);
}

/** Such as `12:00:05`, of the zone that the kubelet writes, which is UTC. */
export function timeOfDay(time: string): string {
  return /T(\d\d:\d\d:\d\d)/.exec(time)?.[1] ?? time;
}

/** Whether a line was written after a moment, in the form of its own time. */
export function isAfter({ time }: LogLine, moment: string): boolean {
  return sortable(time) > sortable(moment);
}

/** Kubelets leave out zeros at the end of a fraction, so that `05Z` would come after `05.1Z`. */
function sortable(time: string): string {
  const [whole = '', fraction = ''] = time.replace(/Z$/, '').split('.');
  return `${whole}.${fraction.padEnd(9, '0')}`;
}

/** Cuts a stream of text into lines. */
export class LineSplitter {
  readonly #onLine: (line: string) => void;
  #rest = '';

  constructor(onLine: (line: string) => void) {
    this.#onLine = onLine;
  }

  add(text: string): void {
    const lines = `${this.#rest}${text}`.split('\n');
    this.#rest = lines.pop() ?? '';
    lines.forEach(this.#onLine);
  }

  /** Gives out a last line that does not end. */
  end(): void {
    if (this.#rest !== '') this.#onLine(this.#rest);
    this.#rest = '';
  }
}

/** Colours that are told apart on dark and light grounds (ECMA-48, select graphic rendition). */
const COLOURS = [36, 33, 35, 32, 34, 31];

/** What stands before the lines of each pod: its name, as wide as the longest. */
export class Prefixes {
  readonly #texts: ReadonlyMap<string, string>;

  constructor(pods: readonly string[], coloured: boolean) {
    const width = Math.max(...pods.map(({ length }) => length));
    this.#texts = new Map(
      pods.map((pod, i) => {
        const text = pod.padEnd(width);
        return [pod, coloured ? `\u001B[${COLOURS[i % COLOURS.length]}m${text}\u001B[0m  ` : `${text}  `];
      }),
    );
  }

  of(pod: string): string {
    return this.#texts.get(pod) ?? `${pod}  `;
  }
}
