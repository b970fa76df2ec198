import { messageOf } from '../message-of.ts';

/**
 * Reads JSON.
 * @param source what the text is, for the sentence
 * @param cure what to do where it is none
 * @throws {Error} a sentence of one line
 */
export function parseJson(text: string, source: string, cure: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return value;
  } catch (error) {
    const reason = messageOf(error).replaceAll(/\s+/g, ' ');
    throw new Error(`${source} is not JSON: ${reason}; ${cure}`, { cause: error });
  }
}
