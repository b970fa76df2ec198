/**
 * Sequences that a terminal acts upon: control sequences such as colours and cursor moves, commands that end in BEL or ST such as titles
 * and links, and other escapes of two characters. Source: ECMA-48, 5.3 to 5.6.
 */
const ESCAPES =
  // oxlint-disable-next-line no-control-regex
  /(?:\u001B\[|\u009B)[0-?]*[ -/]*[@-~]|(?:\u001B[\]PX^_]|[\u009D\u0090\u0098\u009E\u009F])[^\u0007\u001B\u009C]*(?:\u0007|\u001B\\|\u009C)?|\u001B[ -/]*[0-~]/g;

/** What turns the direction of text, so that it reads as another. Source: Unicode Standard Annex 9, "Explicit Directional". */
const DIRECTIONS = /[\u061C\u200E\u200F\u202A-\u202E\u2066-\u2069]/g;

/** Text without sequences that a terminal acts upon, and without what turns its direction; single control characters stay. */
export function withoutEscapes(text: string): string {
  return text.replaceAll(ESCAPES, '').replaceAll(DIRECTIONS, '');
}

/**
 * A line of another program's output as a terminal would be left to show it, without what a terminal would act upon: of a line that is
 * written over, such as that of a progress bar, what stands there in the end; tabs stay.
 */
export function plainLine(line: string): string {
  const written = withoutEscapes(line.replace(/\r+$/, ''));
  const shown = written.slice(written.lastIndexOf('\r') + 1);
  return shown.replaceAll(/[^\P{Cc}\t]+/gu, ' ');
}
