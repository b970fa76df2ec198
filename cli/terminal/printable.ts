import { withoutEscapes } from '../../soap/plain-text.ts';

/** Characters of a name that are shown beside other things, and what stands for the rest. */
const [NAME_CHARACTERS, GAP] = [48, '...'];

/** Text on one line, without what a terminal would act upon: of control characters a space is left. */
export function oneLine(text: string): string {
  return withoutEscapes(text).replaceAll(/\p{Cc}+/gu, ' ');
}

/** A name as a file has it, of an op, a device or a model, on one line; the middle of a long one is left out. */
export function printable(name: string): string {
  const characters = Array.from(oneLine(name));
  if (characters.length <= NAME_CHARACTERS) return characters.join('');
  const kept = NAME_CHARACTERS - GAP.length;
  const end = Math.floor(kept / 2);
  return [...characters.slice(0, kept - end), GAP, ...characters.slice(-end)].join('');
}
