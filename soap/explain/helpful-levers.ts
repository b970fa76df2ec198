/** Which levers are worth a line, in text and on pages alike. Browsers load this file too. */
import type { Lever } from './levers.ts';
import { percentInWords } from './quantities.ts';

/** Levers that make a difference which can be seen, and the changes that make none, in their order. */
export function helpfulLevers(levers: readonly Lever[]): {
  readonly helpful: readonly Lever[];
  readonly useless: readonly string[];
} {
  const isSeen = ({ gain }: Lever): boolean => percentInWords(gain) !== percentInWords(0);
  return {
    helpful: levers.filter(isSeen),
    useless: levers.filter((lever) => !isSeen(lever)).map(({ change }) => change),
  };
}

/** What is said of changes that make no difference. @param noneHelps whether there is no other */
export function uselessInWords(useless: readonly string[], noneHelps: boolean): string {
  if (useless.length === 0) return noneHelps ? 'Nothing that was tried helps.' : '';
  const what = noneHelps ? 'Nothing that was tried helps by itself' : 'By themselves make no difference';
  return `${what}: ${useless.join(', ')}.`;
}
