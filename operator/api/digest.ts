import { createHash } from 'node:crypto';

/** SHA-256, in hexadecimal, of a value as {@link sortedJson}. */
export function digestOf(value: unknown): string {
  return createHash('sha256').update(sortedJson(value)).digest('hex');
}

/** A value as JSON, the fields of objects in one order: the API server may hand them on in any. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(value, sortedKeys);
}

function sortedKeys(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}
