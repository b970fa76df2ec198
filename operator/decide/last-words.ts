import type { V1ContainerStateTerminated } from '@kubernetes/client-node';
import { plainLine } from '../../soap/plain-text.ts';

/** Longest part of a log, or of a pod's status, that a message repeats, in characters. */
export const MAX_LAST_WORDS = 400;

/** Most of a log that the status keeps of an attempt: lines, and characters. */
const [MAX_LINES, MAX_CHARACTERS] = [12, 1000];

/** What every sentence of the project's own programs begins with; what belongs to it stands below it, indented. */
const OWN = /^soapstone: /;

/** What Node writes last of an exception that nobody caught, and the line that says which. */
const [NODE_TRAILER, EXCEPTION] = [/^Node\.js v\d/, /^(?:Uncaught )?[\w.]*(?:Error|Exception)\b/];

/** Lines that tell where something failed, and not what: frames of stacks, carets, rulers, ends of objects. */
const TRACE = /^(?:at .*:\d+\)?(?: \{)?|\d+: 0x[\da-f]+ .*|-{3,}.*|\^+|[{}[\]]+|Node\.js v\d.*)$/;

/** What a container said last, in a sentence, from the end of its log that the kubelet hands on (`terminationMessagePolicy`). */
export function lastWords(end: V1ContainerStateTerminated | undefined): string | undefined {
  const lines = linesOf(end);
  const own = ownSentence(lines);
  if (own !== undefined) return own.slice(0, MAX_LAST_WORDS);
  const told = lines.map((line) => line.trim()).filter((line) => !TRACE.test(line));
  const isUncaught = lines.some((line) => NODE_TRAILER.test(line));
  const exception = isUncaught ? told.findLast((line) => EXCEPTION.test(line)) : undefined;
  return (exception ?? told.at(-1) ?? lines.at(-1)?.trim())?.slice(-MAX_LAST_WORDS);
}

/** The last lines of a container's log, of which there are more than the one that {@link lastWords} repeats; undefined where not. */
export function lastLines(end: V1ContainerStateTerminated | undefined): string | undefined {
  const lines = linesOf(end).slice(-MAX_LINES);
  while (lines.length > 1 && lines.join('\n').length > MAX_CHARACTERS) lines.shift();
  return lines.length > 1 ? lines.join('\n').slice(-MAX_CHARACTERS) : undefined;
}

function linesOf(end: V1ContainerStateTerminated | undefined): string[] {
  const lines = end?.message?.split('\n').map((line) => plainLine(line).trimEnd()) ?? [];
  return lines.filter((line) => line !== '');
}

function ownSentence(lines: readonly string[]): string | undefined {
  const first = lines.findLastIndex((line) => OWN.test(line));
  if (first < 0) return undefined;
  const others = lines.slice(first + 1);
  const next = others.findIndex((line) => !/^\s/.test(line));
  const more = next < 0 ? others : others.slice(0, next);
  return [lines[first]!.replace(OWN, ''), ...more.map((line) => line.trim())].join(' ');
}
