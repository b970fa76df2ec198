import { createChecker, FileError } from '../../soap/schema/check.ts';
import type { Span } from '../program/recorder.ts';

/** What devices recorded, by their ids. */
export type RecordedSpans = ReadonlyMap<number, readonly Span[]>;

/** Spans of a device: ten steps of a plan as fine as the finest that is searched. */
const MAX_SPANS = 1_000_000;

const moment = { type: 'number', minimum: 0, maximum: 1e15 };

const checker = createChecker<Readonly<Record<string, readonly Span[]>>>({
  type: 'object',
  additionalProperties: false,
  patternProperties: {
    '^(0|[1-9][0-9]{0,5})$': {
      type: 'array',
      maxItems: MAX_SPANS,
      items: {
        type: 'object',
        additionalProperties: false,
        required: ['kind', 'step', 'tasks', 'startMs', 'endMs'],
        properties: {
          kind: { enum: ['step', 'load', 'wait', 'segment', 'update', 'finish', 'send', 'collective', 'gather'] },
          step: { type: 'integer', minimum: 0 },
          tasks: { type: 'array', maxItems: MAX_SPANS, items: { type: 'integer', minimum: 0, maximum: 2 ** 31 } },
          startMs: moment,
          endMs: moment,
          cpuMs: moment,
        },
      },
    },
  },
});

/** The text under which a worker serves what its devices recorded, and a file of it. */
export function encodeSpans(spans: RecordedSpans): string {
  return JSON.stringify(Object.fromEntries(spans));
}

/** Reads what {@link encodeSpans} wrote. It may be a stranger's. @throws {FileError} where it is none */
export function decodeSpans(text: string, source: string): RecordedSpans {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new FileError(source, [{ path: '', message: 'is not JSON; expected spans as pods serve them at /spans' }]);
  }
  if (!checker.is(value)) throw new FileError(source, checker.problems(value).slice(0, 5));
  return new Map(Object.entries(value).map(([device, spans]) => [Number(device), spans]));
}
