import type { Graph } from './graph.ts';
import { roleText } from './graph.ts';

/**
 * A short text that two graphs share only if their ops, attributes, wiring, shapes and frozen parameters are the same: 64 bits of FNV-1a.
 * Source: Fowler, Noll and Vo, http://www.isthe.com/chongo/tech/comp/fnv/
 */
export function graphFingerprint({ tensors, ops }: Graph): string {
  const tensor = (id: number): string =>
    `${id}:${roleText(tensors[id]!)}:${tensors[id]!.dtype}:${tensors[id]!.shape.join('x')}`;
  const list = (ids: readonly number[]): string => ids.map(tensor).join();
  const lines = ops.map(
    ({ name, kind, attributes, inputs, outputs }) =>
      `${name}|${kind}|${JSON.stringify(attributes)}|${list(inputs)}|${list(outputs)}`,
  );
  return fnv1a(lines.join('\n'));
}

function fnv1a(text: string): string {
  const mask = (1n << 64n) - 1n;
  let hash = 0xcbf29ce484222325n;
  for (const byte of new TextEncoder().encode(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & mask;
  return hash.toString(16).padStart(16, '0');
}
